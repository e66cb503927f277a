/**
 * Parses JSON that comes from outside: records, events, manifests, settings, answers of a store.
 *
 * It checks size and nesting depth before it parses. So the text cannot exhaust the stack or the memory of the parser, of
 * a schema, or of code that writes the value again. It does not check the shape: give the value to a schema next.
 */
import { PipelineError, type ErrorCode } from './pipeline-error.js';

export interface OutsideJsonLimits {
  /** Largest size in UTF-8 bytes. */
  maxBytes: number;
  /** Deepest nesting of objects and arrays: `[]` is 1 deep, `[[]]` is 2 deep. */
  maxDepth: number;
  /** The code of the error. Default: RECORD_INVALID. */
  code?: ErrorCode;
  /** Begins each message and names the text: "The record", "manifest.jsonl, line 3". Default: "The record". */
  noun?: string;
}

/** Far deeper than any format of the pipeline or any event of a store. */
export const usualMaxDepth = 64;

/** @throws PipelineError with the given code, for a text that is too large, too deep, not UTF-8 or not JSON */
export function parseOutsideJson(text: string | Uint8Array, limits: OutsideJsonLimits): unknown {
  const { maxBytes, maxDepth, code = 'RECORD_INVALID', noun = 'The record' } = limits;
  const sizeBytes = typeof text === 'string' ? utf8Length(text) : text.byteLength;
  if (sizeBytes > maxBytes) throw new PipelineError(code, `${noun} has ${sizeBytes} bytes of JSON; the limit is ${maxBytes} bytes`);
  const characters = typeof text === 'string' ? text : decodeUtf8(text, { code, noun });
  if (isDeeperThan(characters, maxDepth)) {
    throw new PipelineError(code, `${noun} has JSON that nests objects and arrays more than ${maxDepth} deep`);
  }
  try {
    return JSON.parse(characters);
  } catch (error) {
    throw new PipelineError(code, `${noun} is not JSON`, { cause: error });
  }
}

function decodeUtf8(bytes: Uint8Array, { code, noun }: { code: ErrorCode; noun: string }): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    throw new PipelineError(code, `${noun} is not JSON: its bytes are not UTF-8`, { cause: error });
  }
}

/** Counts brackets outside strings. For a text that is not JSON the answer means nothing; the parser refuses it later. */
function isDeeperThan(text: string, maxDepth: number): boolean {
  let depth = 0;
  let inString = false;
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (inString) {
      if (unit === backslash) at++;
      else if (unit === quote) inString = false;
    } else if (unit === quote) inString = true;
    else if (unit === openBracket || unit === openBrace) {
      if (++depth > maxDepth) return true;
    } else if (unit === closeBracket || unit === closeBrace) depth--;
  }
  return false;
}

const quote = 0x22;
const backslash = 0x5c;
const openBracket = 0x5b;
const closeBracket = 0x5d;
const openBrace = 0x7b;
const closeBrace = 0x7d;

/** The number of UTF-8 bytes of a text. A lone surrogate counts as the three bytes of its replacement. */
export function utf8Length(text: string): number {
  let bytes = 0;
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit < 0x80) bytes += 1;
    else if (unit < 0x800) bytes += 2;
    else if (isHighSurrogate(unit) && isLowSurrogate(text.charCodeAt(at + 1))) {
      bytes += 4;
      at++;
    } else bytes += 3;
  }
  return bytes;
}

const isHighSurrogate = (unit: number): boolean => unit >= 0xd800 && unit <= 0xdbff;
const isLowSurrogate = (unit: number): boolean => unit >= 0xdc00 && unit <= 0xdfff;
