/**
 * Decides which HTTP requests a service accepts. It guards every route of all five services (http-server.ts).
 *
 * - `Origin` and `Sec-Fetch-Site`: a page of another site gets 403. So no foreign page can post, or read through the browser.
 * - `Host`: an unknown name gets 421. So a page cannot rebind its own name to this address (DNS rebinding).
 * - `Authorization`: without the token a write gets 401; beyond loopback a read does too. Basic may carry the token as its
 *   password, because browsers, and senders such as SNS, cannot send Bearer.
 * - `Content-Type`: a write must carry the token or say application/json, which no page can send to another site unasked.
 *
 * The health routes answer everybody except foreign pages, because probes come by address and without secrets.
 * It does not encrypt: put a proxy with TLS in front.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { z } from 'zod';
import { PipelineError } from '#contracts/pipeline-error.js';
import { readConfig, type Environment } from './read-config.js';

export interface HttpAccess {
  /** True if other machines can reach the service. Then reads need the token too. */
  isBeyondLoopback: boolean;
  /** `name` or `name:port`, in lower case. */
  hosts: readonly string[];
  /** Allowed origins besides the service's own. */
  origins: readonly string[];
  token: string | undefined;
  /** Opens `/metrics` only. */
  metricsToken: string | undefined;
}

export interface AskedOverHttp {
  method: string;
  path: string;
  headers: IncomingHttpHeaders;
  /** The address of this machine that the connection came to. */
  localAddress: string | undefined;
}

export interface HttpRefusal {
  status: 401 | 403 | 415 | 421;
  message: string;
}

const loopbackHosts = ['127.0.0.1', 'localhost', '[::1]'];
const openPaths = ['/health/live', '/health/ready'];

const secret = z
  .string()
  .regex(/^[\x21-\x7e]{16,}$/, 'at least 16 visible ASCII characters without spaces, such as the output of `openssl rand -hex 32`')
  .optional();

export const httpAccessVariables = {
  API_TOKEN: secret.describe(
    'Secret of at least 16 characters that opens the HTTP ports. `undertone up` and `npm start` make one for each stack unless it is set.',
  ),
  METRICS_TOKEN: secret.describe('Secret of at least 16 characters that opens `/metrics` and nothing else.'),
  HTTP_ALLOWED_HOSTS: listOf(/^(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?$/i, 'names or name:port, separated by commas').describe(
    'Names, or `name:port`, by which clients reach the service, besides loopback. Commas separate them.',
  ),
  HTTP_ALLOWED_ORIGINS: listOf(/^https?:\/\/[^/\s]+$/i, 'origins such as https://speech.example.org, separated by commas').describe(
    "Origins of web pages that may ask the service, besides the service's own page. Commas separate them.",
  ),
};

/** @throws PipelineError CONFIG_INVALID for wrong settings, and where `host` is beyond loopback without API_TOKEN */
export function readHttpAccess(host: string, environment?: Environment): HttpAccess {
  const read = readConfig(httpAccessVariables, environment);
  const isBeyondLoopback = !isLoopback(host);
  if (isBeyondLoopback && read.API_TOKEN === undefined) {
    throw new PipelineError(
      'CONFIG_INVALID',
      `HTTP_HOST=${host} opens this service to other machines, and API_TOKEN is not set. Set API_TOKEN to a secret, such as the output of \`openssl rand -hex 32\`, or set HTTP_HOST=127.0.0.1.`,
    );
  }
  return {
    isBeyondLoopback,
    hosts: [...loopbackHosts, host.includes(':') && !host.startsWith('[') ? `[${host}]` : host, ...read.HTTP_ALLOWED_HOSTS].map(lowerCase),
    origins: read.HTTP_ALLOWED_ORIGINS.map(lowerCase),
    token: read.API_TOKEN,
    metricsToken: read.METRICS_TOKEN,
  };
}

/** @returns null if the request may pass */
export function refusalOf(asked: AskedOverHttp, access: HttpAccess): HttpRefusal | null {
  const { method, path, headers } = asked;
  const { host, origin } = headers;
  const isOpen = openPaths.includes(path);
  const isRead = method === 'GET' || method === 'HEAD';
  if (origin === undefined ? isOfForeignPage(headers) : !isKnownOrigin(origin, { host, access })) {
    return {
      status: 403,
      message: `Pages of ${origin ?? 'another site'} may not use this service. To allow an origin, add it to HTTP_ALLOWED_ORIGINS.`,
    };
  }
  if (isOpen && isRead) return null;
  if (!isKnownHost(host, asked.localAddress, access)) {
    return {
      status: 421,
      message: `This service is not known by the name ${host ?? '(none)'}. Add the name to HTTP_ALLOWED_HOSTS if it is right.`,
    };
  }
  const given = secretIn(headers.authorization);
  const isTrusted = matches(given, access.token) || (isRead && path === '/metrics' && matches(given, access.metricsToken));
  if (!isTrusted && access.token !== undefined && (access.isBeyondLoopback || !isRead)) {
    return { status: 401, message: `${isRead ? 'Reading' : 'Writing'} needs "Authorization: Bearer …" with this service's API_TOKEN.` };
  }
  if (!isRead && !isTrusted && !isJson(headers['content-type'])) {
    return { status: 415, message: `A ${method} without API_TOKEN must have "Content-Type: application/json".` };
  }
  return null;
}

/** The browser sends these headers itself. Opening the dashboard, or following a link to it, is allowed. */
function isOfForeignPage(headers: IncomingHttpHeaders): boolean {
  const site = headers['sec-fetch-site'];
  return (site === 'cross-site' || site === 'same-site') && headers['sec-fetch-mode'] !== 'navigate';
}

/** `https` with the own name counts too, because a proxy in front may have ended the TLS. */
function isKnownOrigin(origin: string, { host, access }: { host: string | undefined; access: HttpAccess }): boolean {
  const name = lowerCase(origin);
  return (
    (host !== undefined && [`http://${lowerCase(host)}`, `https://${lowerCase(host)}`].includes(name)) || access.origins.includes(name)
  );
}

function isKnownHost(host: string | undefined, localAddress: string | undefined, access: HttpAccess): boolean {
  if (host === undefined) return false;
  const name = lowerCase(host);
  const bare = name.replace(/:\d{1,5}$/, '');
  // An address cannot be rebound like a name. Prometheus reaches pods by their address.
  const ownAddress = localAddress?.replace(/^::ffff:/, '');
  const isOwnAddress = ownAddress !== undefined && [ownAddress, `[${ownAddress}]`].includes(bare);
  return isOwnAddress || access.hosts.includes(name) || access.hosts.includes(bare);
}

const isLoopback = (host: string): boolean => /^(?:localhost|127\.\d{1,3}\.\d{1,3}\.\d{1,3}|\[?::1\]?)$/i.test(host);
const isJson = (contentType: string | undefined): boolean => /^application\/(?:[\w.-]+\+)?json\s*(?:;|$)/i.test(contentType ?? '');
const lowerCase = (text: string): string => text.toLowerCase();

/** @returns the secret of `Bearer`, or the password of `Basic` */
function secretIn(authorization: string | undefined): string | undefined {
  const [, scheme = '', value = ''] = /^(bearer|basic) (\S+)$/i.exec(authorization ?? '') ?? [];
  if (scheme === '') return undefined;
  if (lowerCase(scheme) === 'bearer') return value;
  const pair = Buffer.from(value, 'base64').toString('utf8');
  return pair.includes(':') ? pair.slice(pair.indexOf(':') + 1) : undefined;
}

/** Compares in constant time, wherever the two differ and however long they are. */
function matches(given: string | undefined, expected: string | undefined): boolean {
  if (given === undefined || expected === undefined) return false;
  return timingSafeEqual(sha256(given), sha256(expected));
}

const sha256 = (text: string): Buffer => createHash('sha256').update(text).digest();

function listOf(pattern: RegExp, expected: string) {
  return z
    .string()
    .default('')
    .transform((text) => text.split(',').flatMap((each) => (each.trim() === '' ? [] : [each.trim()])))
    .refine((entries) => entries.every((each) => pattern.test(each)), expected);
}
