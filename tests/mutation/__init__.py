"""Every suite against every fault, on the stub and through the proxy on a real engine: `make mutation`."""
