import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { errorCodes } from '#contracts/pipeline-error.js';
import { codeVersion } from '#service/package-root.js';
import { openApiDocument } from './openapi.js';

const document = JSON.parse(JSON.stringify(openApiDocument(codeVersion))) as {
  paths: Record<string, Record<string, { responses: Record<string, unknown>; parameters?: { name: string; schema: object }[] }>>;
  components: { schemas: Record<string, { properties?: Record<string, { enum?: string[] }> }> };
};

describe('the OpenAPI document', () => {
  it('is the one in docs/', () => {
    const committed: unknown = parse(readFileSync(new URL('../../../docs/openapi.yaml', import.meta.url), 'utf8'));
    expect(committed, 'docs/openapi.yaml is stale. Run: npm run openapi').toEqual(document);
  });

  it('names each error code', () => {
    expect(document.components.schemas['Problem']?.properties?.['code']?.enum).toEqual(Object.keys(errorCodes));
  });

  it('refers to schemas that it has', () => {
    const references = [...JSON.stringify(document).matchAll(/#\/components\/schemas\/(\w+)/g)].map(([, name]) => name ?? '');
    expect(new Set(references)).toEqual(new Set(Object.keys(document.components.schemas)));
  });

  it('gives each query parameter of POST /predict a schema', () => {
    expect(document.paths['/predict']?.['post']?.parameters).toMatchObject([
      { name: 'silence', schema: { type: 'string', enum: ['none', 'ends', 'all'] } },
      { name: 'hop', schema: { type: 'number', minimum: 0.1, maximum: 60 } },
    ]);
  });
});
