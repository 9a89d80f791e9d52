"""A night on one machine as the file of a CI system: the same steps for GitHub, GitLab, Jenkins, Buildkite and cron."""
