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

  it('loses its quotes, and is decoded if the page says so', () => {
    expect(listedObject({ Key: 'a b+c', ETag: '"e"', Size: 3, LastModified }, undefined)).toEqual({
      key: 'a b+c',
      etag: 'e',
      sizeBytes: 3,
      modifiedAt: LastModified,
    });
    expect(listedObject({ Key: 'a+b%2Bc%00', ETag: 'e', Size: 3, LastModified }, 'url')?.key).toBe('a b+c\u0000');
  });

  it.each([undefined, ''])('with the key %j is skipped', (Key) => expect(listedObject({ Key, LastModified }, 'url')).toBeNull());

  it('keeps an unencoded key even if the page claims an encoding', () => {
    expect(listedObject({ Key: 'a+b%4', LastModified }, 'url')?.key).toBe('a+b%4');
  });

  it('still counts as a hint with a strange size or time, or without an ETag', () => {
    expect(listedObject({ Key: 'a', Size: -1, LastModified: new Date(Number.NaN) }, 'url')).toMatchObject({
      key: 'a',
      etag: '',
      sizeBytes: 0,
    });
  });
});
