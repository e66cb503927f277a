import { expect, it } from 'vitest';
import { sessionOf } from './sessions.js';

it.each([
  [{ session: '4', speakerId: 'iemocap/Ses01F' }, '4'],
  [{ speakerId: 'iemocap/Ses05M' }, '5'],
  [{ speakerId: 'msp-improv/M06' }, '06'],
  [{ speakerId: 'msp-improv/F06' }, '06'],
  [{ speakerId: 'acted/m10' }, null],
  [{}, null],
])('the session of %j is %s', (labels, session) => {
  expect(sessionOf(labels)).toBe(session);
});
