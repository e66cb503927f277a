/** The image's entry point: runs the service that is named. */
import { serviceNamed } from './services.mjs';

const name = process.argv[2];
const service = serviceNamed(name);
if (!service) {
  process.stderr.write(
    `✗ ${name === undefined ? 'No service is named' : `${name} is no service`}: ingest, features, trainer or evaluator\n`,
  );
  process.exit(2);
}
await import(`../../dist/apps/${name}/src/main.js`);
