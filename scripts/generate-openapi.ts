/** Writes docs/openapi.yaml from the schemas of the predictor. Run: `npm run openapi`. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { codeVersion, packageRoot } from '#service/package-root.js';
import { openApiDocument } from '../apps/predictor/src/openapi.js';

const header = '# Generated from apps/predictor by `npm run openapi`. Do not edit.\n';
const document = openApiDocument(codeVersion);
writeFileSync(join(packageRoot, 'docs', 'openapi.yaml'), header + stringify(document, { lineWidth: 0, aliasDuplicateObjects: false }));
