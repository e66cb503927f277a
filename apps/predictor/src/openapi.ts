/** Describes the predictor's routes as an OpenAPI 3.1 document, from the schemas that the routes use. */
import { z } from 'zod';
import {
  championAnswerSchema,
  modelsAnswerSchema,
  objectToPredictSchema,
  predictionSchema,
  predictQuerySchema,
  problemSchema,
  statusAnswerSchema,
  utteranceAnswerSchema,
} from './predictor-answers.js';

type Json = Record<string, unknown>;

const named = {
  Prediction: predictionSchema,
  ObjectToPredict: objectToPredictSchema,
  Utterance: utteranceAnswerSchema,
  Models: modelsAnswerSchema,
  Champion: championAnswerSchema,
  Status: statusAnswerSchema,
  Problem: problemSchema,
};
type SchemaName = keyof typeof named;

/** @param version version of the package */
export function openApiDocument(version: string): Json {
  return {
    openapi: '3.1.0',
    info: {
      title: 'Undertone predictor',
      version,
      description:
        'Emotion and gender of recordings, by the champion or else the newest model. docs/serving.md explains how to read the answers.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: 'http://127.0.0.1:7404' }],
    security: [{ bearer: [] }, {}],
    paths: {
      '/predict': {
        post: {
          operationId: 'predict',
          summary: 'Predicts for one recording',
          description: 'Any format that features takes. Without the token, only JSON is accepted.',
          parameters: queryParameters(predictQuerySchema),
          requestBody: {
            required: true,
            content: {
              'application/octet-stream': { schema: { type: 'string', format: 'binary' } },
              'audio/*': { schema: { type: 'string', format: 'binary' } },
              'multipart/form-data': {
                schema: { type: 'object', properties: { file: { type: 'string', format: 'binary' } }, required: ['file'] },
              },
              'application/json': { schema: reference('ObjectToPredict') },
            },
          },
          responses: answers('Prediction', [400, 401, 403, 404, 409, 413, 415, 421, 422, 429, 503]),
        },
      },
      '/utterances/{id}': {
        get: {
          operationId: 'utterance',
          summary: 'Tells what is known about a live utterance, and scores it',
          parameters: [
            {
              name: 'id',
              in: 'path',
              required: true,
              description: 'Utterance id: corpus and path. Slashes may stand as they are or as %2F.',
              schema: { type: 'string', minLength: 1 },
            },
          ],
          responses: answers('Utterance', [400, 401, 403, 404, 409, 421, 503]),
        },
      },
      '/models': {
        get: { operationId: 'models', summary: 'Lists the models of finished rounds', responses: answers('Models', [401, 403, 421, 503]) },
      },
      '/champion': {
        get: {
          operationId: 'champion',
          summary: 'Names the champion of each target, and the served model',
          responses: answers('Champion', [401, 403, 421, 503]),
        },
      },
      '/status': {
        get: { operationId: 'status', summary: 'Counts the live utterances in each state', responses: answers('Status', [401, 403, 421]) },
      },
    },
    components: {
      securitySchemes: { bearer: { type: 'http', scheme: 'bearer', description: 'API_TOKEN' } },
      schemas: Object.fromEntries(Object.entries(named).map(([name, schema]) => [name, jsonSchemaOf(schema)])),
    },
  };
}

function answers(schema: SchemaName, problems: readonly number[]): Json {
  const problem = { description: 'Problem', content: { 'application/problem+json': { schema: reference('Problem') } } };
  return {
    200: { description: 'Answer', content: { 'application/json': { schema: reference(schema) } } },
    ...Object.fromEntries(problems.map((status) => [status, problem])),
  };
}

const reference = (name: SchemaName): Json => ({ $ref: `#/components/schemas/${name}` });

function queryParameters(schema: z.ZodObject): Json[] {
  const { properties = {} } = z.toJSONSchema(schema, { io: 'input' });
  return Object.entries(schema.shape).map(([name, field]) => {
    const { description, ...rest } = properties[name] as Json;
    const isCoerced = Object.keys(rest).length === 0;
    const own = isCoerced ? withoutDialect(z.toJSONSchema(field, { io: 'output' }) as Json) : rest;
    const { description: _said, ...plain } = own;
    return { name, in: 'query', description: description ?? (field as z.ZodType).description, schema: plain };
  });
}

function withoutDialect({ $schema: _dialect, ...schema }: Json): Json {
  return schema;
}

function jsonSchemaOf(schema: z.ZodType): Json {
  const json = z.toJSONSchema(schema, {
    io: 'output',
    reused: 'inline',
    override: ({ jsonSchema: part }) => {
      if (part.maximum === Number.MAX_SAFE_INTEGER) delete part.maximum;
      if (part.minimum === Number.MIN_SAFE_INTEGER) delete part.minimum;
      // Zod's own pattern repeats the calendar.
      if (part.format === 'date-time') part.pattern = 'Z$';
    },
  }) as Json;
  return withoutDialect(json);
}
