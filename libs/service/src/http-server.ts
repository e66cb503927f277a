/**
 * Prepares the HTTP server of a service: it checks access (http-access.ts), limits bodies, and sets the headers of each answer.
 * It leaves a body as bytes. The route parses it with limits (`parseOutsideJson`).
 */
import type { NestExpressApplication } from '@nestjs/platform-express';
import helmet from 'helmet';
import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http';
import { printable } from '#contracts/printable.js';
import { refusalOf, type HttpAccess } from './http-access.js';

/** Most bytes of a request's body, unless a service allows more, after decompression. SNS and SQS have the same limit, so no store sends a longer notification. */
export const maxBodyBytes = 262_144;

type Next = (error?: unknown) => void;

export interface BodyRules {
  maxBytes: number;
  /** Advice for a client whose body is larger. */
  remedy: string;
  /** Called before a body is read. It answers itself if it refuses the request. */
  admit?: (request: IncomingMessage, response: ServerResponse, next: () => void) => void;
}

const usualBody: BodyRules = { maxBytes: maxBodyBytes, remedy: 'Send fewer records in one request.' };

/** Call it before the application listens. It runs before all routes. */
export function guardHttp(app: NestExpressApplication, access: HttpAccess, body = usualBody): void {
  app.disable('x-powered-by');
  app.use(securityHeaders);
  app.use((_request: IncomingMessage, response: ServerResponse, next: Next) => {
    response.setHeader('Cache-Control', 'no-store');
    next();
  });
  app.use((request: IncomingMessage & { path: string }, response: ServerResponse, next: Next) => {
    const { method = '', headers, path } = request;
    const refusal = refusalOf({ method, path, headers, localAddress: request.socket.localAddress }, access);
    if (!refusal) return next();
    if (refusal.status === 401) response.setHeader('WWW-Authenticate', 'Basic realm="Undertone", charset="UTF-8"');
    answer(response, refusal.status, refusal.message);
  });
  if (body.admit) app.use(body.admit);
  app.useBodyParser('raw', { limit: body.maxBytes, type: () => true });
  app.use((error: { status?: number }, _request: IncomingMessage, response: ServerResponse, next: Next) => {
    if (error.status === 413) answer(response, 413, `A body may have at most ${body.maxBytes} bytes. ${body.remedy}`);
    else next(error);
  });
}

/** No page may frame, embed or read an answer. The dashboard loads its own files only. */
const securityHeaders = helmet({
  contentSecurityPolicy: {
    useDefaults: false,
    directives: {
      'default-src': ["'none'"],
      'script-src': ["'self'"],
      'style-src': ["'self'"],
      'connect-src': ["'self'"],
      'img-src': ["'self'", 'data:'],
      'base-uri': ["'none'"],
      'form-action': ["'none'"],
      'frame-ancestors': ["'none'"],
    },
  },
  frameguard: { action: 'deny' },
  // Each service speaks plain HTTP. A proxy that adds TLS knows whether its name is for HTTPS only.
  strictTransportSecurity: false,
  // Without TLS, browsers beyond loopback only print a warning about this header.
  originAgentCluster: false,
});

function answer(response: ServerResponse, statusCode: number, message: string): void {
  response.writeHead(statusCode, { 'Content-Type': 'application/problem+json; charset=utf-8' });
  const detail = printable(message);
  const title = STATUS_CODES[statusCode] ?? 'Error';
  // RFC 9457. Older clients read `statusCode` and `message`.
  response.end(JSON.stringify({ type: 'about:blank', title, status: statusCode, detail, statusCode, message: detail }));
}
