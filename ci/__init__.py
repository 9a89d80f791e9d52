"""Plans continuous integration: assigns rigs to runners, packs launches into jobs, and generates the files for both."""
