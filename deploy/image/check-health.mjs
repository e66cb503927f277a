/** The image's health check. It asks the container's service if it is alive; if not, it prints the reason and exits with 1. */
import { readFileSync } from 'node:fs';
import { serviceNamed } from './services.mjs';

// The service's name is the last argument of process 1, which is node or the init of `docker run --init`.
const words = readFileSync('/proc/1/cmdline', 'utf8').split('\0').filter(Boolean);
const { variable, port } = serviceNamed(words.at(-1)) ?? {};
const response = await fetch(`http://127.0.0.1:${process.env[variable] || port}/health/live`);
if (!response.ok) {
  process.stderr.write(`${await response.text()}\n`);
  process.exit(1);
}
