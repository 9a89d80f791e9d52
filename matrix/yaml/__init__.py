"""The one border where YAML becomes data: every fault of a file is told with its line and the nearest valid word."""
