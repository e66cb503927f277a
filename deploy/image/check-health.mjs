/** The image's health check: asks the service that this container runs whether it is alive. Exit 1 if it is not, and why. */
import { readFileSync } from 'node:fs';
import { serviceNamed } from './services.mjs';

// The last word of the first process, whether that is node or `docker run --init`.
const words = readFileSync('/proc/1/cmdline', 'utf8').split('\0').filter(Boolean);
const { variable, port } = serviceNamed(words.at(-1)) ?? {};
const response = await fetch(`http://127.0.0.1:${process.env[variable] || port}/health/live`);
if (!response.ok) {
  process.stderr.write(`${await response.text()}\n`);
  process.exit(1);
}
