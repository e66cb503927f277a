import { describe, expect, it } from 'vitest';
import { checkedHead, listedObject } from './check-answer.js';

describe('the head of an object', () => {
  it('has an ETag and a size', () => {
    expect(checkedHead('a', 'e', 0)).toEqual({ key: 'a', etag: 'e', sizeBytes: 0 });
  });

  it.each([
    ['', 1],
    ['e', -1],
    ['e', 1.5],
    ['e', Number.NaN],
    ['e', Infinity],
  ])('with ETag %j and size %j is refused', (etag, size) => {
    expect(() => checkedHead('a', etag, size)).toThrow(expect.objectContaining({ code: 'OBJECT_REFUSED' }));
  });
});

describe('an entry of a listing', () => {
  const LastModified = new Date(0);

  it('is taken as it is, without quotes, and decoded where the page says so', () => {
    expect(listedObject({ Key: 'a b+c', ETag: '"e"', Size: 3, LastModified }, undefined)).toEqual({
      key: 'a b+c',
      etag: 'e',
      sizeBytes: 3,
      modifiedAt: LastModified,
    });
    expect(listedObject({ Key: 'a+b%2Bc%00', ETag: 'e', Size: 3, LastModified }, 'url')?.key).toBe('a b+c\u0000');
  });

  it.each([undefined, ''])('with the key %j is passed over', (Key) => expect(listedObject({ Key, LastModified }, 'url')).toBeNull());

  it('with a key that is not encoded, whatever the page says, keeps it', () => {
    expect(listedObject({ Key: 'a+b%4', LastModified }, 'url')?.key).toBe('a+b%4');
  });

  it('with a strange size, time or no ETag is a hint still', () => {
    expect(listedObject({ Key: 'a', Size: -1, LastModified: new Date(Number.NaN) }, 'url')).toMatchObject({
      key: 'a',
      etag: '',
      sizeBytes: 0,
    });
  });
});
