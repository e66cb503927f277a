import { request, type IncomingHttpHeaders, type OutgoingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Controller, Get, HttpCode, Module, Param, Post } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import { afterEach, describe, expect, test } from 'vitest';
import { readServiceSettings } from './connection-config.js';
import { guardHttp } from './http-server.js';
import { createLogger } from './logger.js';
import { ObservabilityModule } from './observability.module.js';
import type { Environment } from './read-config.js';

const token = 'a-token-of-the-service';
const metricsToken = 'a-token-of-prometheus';
const beyond = { HTTP_HOST: '0.0.0.0', API_TOKEN: token, METRICS_TOKEN: metricsToken };

@Controller()
class Routes {
  @Get('api/overview')
  read(): { secret: string } {
    return { secret: 'all' };
  }

  @Get('assets/:name')
  asset(@Param('name') name: string): { name: string } {
    return { name };
  }

  @Post('bucket-events')
  @HttpCode(202)
  write(): { accepted: true } {
    return { accepted: true };
  }
}

interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  body: string;
}

let app: NestExpressApplication | undefined;
afterEach(async () => {
  await app?.close();
  app = undefined;
});

/** Starts a service with these settings. @returns a function that sends a request to it */
async function serve(environment: Environment): Promise<(line: string, headers?: OutgoingHttpHeaders) => Promise<Answer>> {
  const { host, access } = readServiceSettings(0, 'TEST_PORT', environment);
  @Module({ imports: [ObservabilityModule.forStage('test', createLogger('test', 'silent'))], controllers: [Routes] })
  class TestModule {}
  app = await NestFactory.create<NestExpressApplication>(TestModule, { logger: false, bodyParser: false });
  guardHttp(app, access);
  await app.listen(0, host);
  const { port } = (app.getHttpServer() as { address(): AddressInfo }).address();
  return (line, headers = {}) => {
    const [method, path] = line.split(' ');
    return new Promise((resolve, reject) => {
      const asked = request({ host: '127.0.0.1', port, method, path, headers, agent: false }, (response) => {
        let body = '';
        response.setEncoding('utf8');
        response.on('data', (text: string) => (body += text));
        response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body }));
      });
      asked.on('error', reject);
      asked.end(method === 'POST' ? '{}' : undefined);
    });
  };
}

const json = { 'content-type': 'application/json' };
const bearer = (secret: string): OutgoingHttpHeaders => ({ authorization: `Bearer ${secret}` });
const basic = (secret: string): OutgoingHttpHeaders => ({ authorization: `Basic ${Buffer.from(`anyone:${secret}`).toString('base64')}` });

describe('on loopback, without a token', () => {
  test.each([
    ['a read', 'GET /api/overview', {}, 200],
    ['a read by localhost', 'GET /api/overview', { host: 'localhost:7400' }, 200],
    ['a read by the address of IPv6', 'GET /api/overview', { host: '[::1]:7400' }, 200],
    ['a read of its own page', 'GET /api/overview', { host: 'localhost:7400', origin: 'http://localhost:7400' }, 200],
    ['a link from another site', 'GET /api/overview', { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' }, 200],
    ['a notification in JSON', 'POST /bucket-events', json, 202],
    ['a notification in a kind of JSON', 'POST /bucket-events', { 'content-type': 'application/cloudevents+json; charset=utf-8' }, 202],
    ['the metrics', 'GET /metrics', {}, 200],
  ])('lets %s pass', async (_what, line, headers, status) => {
    const ask = await serve({});
    expect((await ask(line, headers)).status).toBe(status);
  });

  test.each([
    ['a text from a foreign page', 'POST /bucket-events', { 'content-type': 'text/plain', origin: 'https://evil.example' }, 403],
    ['JSON from a foreign page', 'POST /bucket-events', { ...json, origin: 'https://evil.example' }, 403],
    ['a page without an origin', 'POST /bucket-events', { ...json, origin: 'null' }, 403],
    ['a page of another port', 'GET /api/overview', { host: '127.0.0.1:7400', origin: 'http://127.0.0.1:8080' }, 403],
    ['the preflight of a foreign page', 'OPTIONS /bucket-events', { origin: 'https://evil.example' }, 403],
    ['an image in a foreign page', 'GET /api/overview', { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors' }, 403],
    ['a rebound name', 'GET /api/overview', { host: 'evil.example:7400' }, 421],
    ['a name that begins like a known one', 'GET /api/overview', { host: 'localhost.evil.example' }, 421],
    ['an address that is not its own', 'GET /api/overview', { host: '10.1.2.3:7400' }, 421],
    ['a rebound page that is its own origin', 'POST /bucket-events', { ...json, host: 'evil.example', origin: 'http://evil.example' }, 421],
    ['text', 'POST /bucket-events', { 'content-type': 'text/plain' }, 415],
    ['a form', 'POST /bucket-events', { 'content-type': 'application/x-www-form-urlencoded' }, 415],
    ['JSON in name only', 'POST /bucket-events', { 'content-type': 'text/plain; application/json' }, 415],
    ['a body without a type', 'POST /bucket-events', {}, 415],
  ])('refuses %s', async (_what, line, headers, status) => {
    const ask = await serve({});
    const answer = await ask(line, headers);
    expect(answer.status).toBe(status);
    expect(JSON.parse(answer.body)).toMatchObject({ statusCode: status });
  });

  test('answers probes under any name', async () => {
    const ask = await serve({});
    expect((await ask('GET /health/live', { host: '10.1.2.3:7400' })).status).toBe(200);
    expect((await ask('GET /health/live', { origin: 'https://evil.example' })).status).toBe(403);
  });
});

describe('on loopback, with a token', () => {
  test.each([
    ['a read without it', 'GET /api/overview', {}, 200],
    ['a write with it', 'POST /bucket-events', { ...json, ...bearer(token) }, 202],
    ['text with it', 'POST /bucket-events', { 'content-type': 'text/plain', ...bearer(token) }, 202],
    ['text of a sender that has no Bearer', 'POST /bucket-events', { 'content-type': 'text/plain', ...basic(token) }, 202],
    ['a write without it', 'POST /bucket-events', json, 401],
    ['a write with another', 'POST /bucket-events', { ...json, ...bearer('another-token-than-that') }, 401],
    ['a write with an empty one', 'POST /bucket-events', { ...json, authorization: 'Bearer ' }, 401],
    ['a write with the token of the metrics', 'POST /bucket-events', { ...json, ...bearer(metricsToken) }, 401],
    ['a foreign page with it', 'POST /bucket-events', { ...json, ...basic(token), origin: 'https://evil.example' }, 403],
  ])('answers %s: %s %o → %i', async (_what, line, headers, status) => {
    const ask = await serve({ API_TOKEN: token, METRICS_TOKEN: metricsToken });
    expect((await ask(line, headers)).status).toBe(status);
  });
});

describe('beyond loopback', () => {
  test.each(['0.0.0.0', '::', '192.168.1.7', 'speech.example.org'])('refuses to start on %s without a token', (host) => {
    expect(() => readServiceSettings(0, 'TEST_PORT', { HTTP_HOST: host })).toThrow(
      expect.objectContaining({
        code: 'CONFIG_INVALID',
        message: expect.stringMatching(/HTTP_HOST=.*API_TOKEN.*openssl rand -hex 32/) as string,
      }),
    );
  });

  test.each([
    [{ API_TOKEN: 'short' }, /API_TOKEN: at least 16/],
    [{ API_TOKEN: 'sixteen letters with spaces' }, /API_TOKEN: at least 16/],
    [{ HTTP_ALLOWED_HOSTS: '*' }, /HTTP_ALLOWED_HOSTS: names/],
    [{ HTTP_ALLOWED_ORIGINS: 'speech.example.org' }, /HTTP_ALLOWED_ORIGINS: origins/],
  ])('refuses to start with %o', (settings, why) => {
    expect(() => readServiceSettings(0, 'TEST_PORT', settings)).toThrow(why);
  });

  test.each([
    ['a read without the token', 'GET /api/overview', {}, 401],
    ['a read with the token', 'GET /api/overview', bearer(token), 200],
    ['a browser that asked its user for the token', 'GET /api/overview', basic(token), 200],
    ['the metrics without a token', 'GET /metrics', {}, 401],
    ['the metrics with their token', 'GET /metrics', bearer(metricsToken), 200],
    ['the metrics with the token', 'GET /metrics', bearer(token), 200],
    ['another read with the token of the metrics', 'GET /api/overview', bearer(metricsToken), 401],
    ['a path that nearly is the metrics', 'GET /metrics/', bearer(metricsToken), 401],
    ['a write without the token', 'POST /bucket-events', json, 401],
    ['a probe without the token', 'GET /health/live', {}, 200],
    ['a probe by a path that nearly is one', 'GET /health/../api/overview', {}, 401],
    ['a name that is allowed', 'GET /api/overview', { ...bearer(token), host: 'Evaluator:7400' }, 200],
    ['a name that is allowed with another port', 'GET /api/overview', { ...bearer(token), host: 'speech.example.org' }, 421],
    ['a page that is allowed', 'GET /api/overview', { ...bearer(token), origin: 'https://speech.example.org' }, 200],
  ])('answers %s: %s %o → %i', async (_what, line, headers, status) => {
    const allowed = { HTTP_ALLOWED_HOSTS: 'evaluator, speech.example.org:443', HTTP_ALLOWED_ORIGINS: 'https://speech.example.org' };
    const ask = await serve({ ...beyond, ...allowed });
    expect((await ask(line, headers)).status).toBe(status);
  });

  test('asks a browser for the token', async () => {
    const ask = await serve(beyond);
    expect((await ask('GET /api/overview')).headers['www-authenticate']).toMatch(/^Basic /);
  });
});

test('sends security headers with every answer, and does not reveal its software', async () => {
  const ask = await serve({});
  for (const [line, headers] of [
    ['GET /api/overview', {}],
    ['GET /nothing', {}],
    ['GET /api/overview', { host: 'evil.example' }],
  ] as const) {
    const answer = await ask(line, headers);
    expect(answer.headers).toMatchObject({
      'content-security-policy': expect.stringMatching(/default-src 'none'.*frame-ancestors 'none'/) as string,
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
      'referrer-policy': 'no-referrer',
      'cross-origin-resource-policy': 'same-origin',
      'cache-control': 'no-store',
    });
    expect(answer.headers).not.toHaveProperty('x-powered-by');
    expect(answer.headers).not.toHaveProperty('access-control-allow-origin');
  }
});

test.each([
  ['a path that is no text', 'GET /assets/%E0%A4%A', {}, 400],
  ['a path that leaves its folder', 'GET /assets/..%2f..%2fetc%2fpasswd%00', {}, 200],
  ['a body in an unknown encoding', 'POST /bucket-events', { ...json, 'content-encoding': 'evil' }, 415],
  ['a body that is not what its encoding says', 'POST /bucket-events', { ...json, 'content-encoding': 'gzip' }, 400],
  ['a form of many keys in the path', `GET /api/overview?${'__proto__[polluted]=1&'.repeat(400)}`, {}, 200],
  ['a name of the host that is long', 'GET /api/overview', { host: `${'a.'.repeat(5000)}b` }, 421],
])('answers %s in JSON, without a stack', async (_what, line, headers, status) => {
  const ask = await serve({});
  const answer = await ask(line, headers);
  expect(answer.status).toBe(status);
  expect(answer.headers['content-type']).toMatch(/^application\/(problem\+)?json/);
  expect(answer.body).not.toMatch(/node_modules|\.ts:|\.js:/);
  expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
});
