/** The image's entry point: runs the service that its argument names. */
import { serviceNamed } from './services.mjs';

const name = process.argv[2];
const service = serviceNamed(name);
if (!service) {
  process.stderr.write(
    `✗ ${name === undefined ? 'The command names no service' : `There is no service ${name}`}: give ingest, features, trainer or evaluator\n`,
  );
  process.exit(2);
}
await import(`../../dist/apps/${name}/src/main.js`);
