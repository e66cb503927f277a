import { describe, expect, it } from 'vitest';
import { readAsked } from './read-request.js';

const wav = Buffer.from('RIFF and so on');
const formOf = async (...parts: [name: string, value: string | Blob][]): Promise<[Buffer, string]> => {
  const form = new FormData();
  for (const [name, value] of parts) form.append(name, value);
  const response = new Response(form);
  return [Buffer.from(await response.arrayBuffer()), response.headers.get('content-type') ?? ''];
};

describe('the body of a prediction', () => {
  it('is a file, a form with a file, or JSON with a key', async () => {
    expect(await readAsked(wav, 'audio/wav')).toEqual({ bytes: wav });
    const form = await formOf(['note', 'hello'], ['file', new Blob([wav])]);
    expect(await readAsked(...form)).toEqual({ bytes: new Uint8Array(wav) });
    expect(await readAsked(Buffer.from('{"key":"corpora/calls/a.wav"}'), 'application/json; charset=utf-8')).toEqual({
      key: 'corpora/calls/a.wav',
    });
  });

  it.each([
    ['no body', async () => readAsked(undefined, undefined)],
    ['a form without a file', async () => readAsked(...(await formOf(['note', 'hello'])))],
    ['a form with two files', async () => readAsked(...(await formOf(['a', new Blob([wav])], ['b', new Blob([wav])])))],
    ['a form that is cut off', async () => readAsked(wav, 'multipart/form-data; boundary=x')],
    ['JSON without a key', async () => readAsked(Buffer.from('{}'), 'application/json')],
    ['JSON that is cut off', async () => readAsked(Buffer.from('{"key"'), 'application/json')],
    ['a key of another object', async () => readAsked(Buffer.from('{"key":"models/a/weights"}'), 'application/json')],
  ])('is refused as %s', async (_what, read) => {
    await expect(read()).rejects.toMatchObject({ code: 'REQUEST_INVALID' });
  });

  it('is refused with a key that cannot name an object', async () => {
    await expect(readAsked(Buffer.from('{"key":"corpora/calls/../a.wav"}'), 'application/json')).rejects.toMatchObject({
      code: 'OBJECT_KEY_INVALID',
    });
  });
});
