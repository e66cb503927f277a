import { expect, test } from 'vitest';
import { latentShape, type ModelSettingsInput, parseModelSettings, speakerCapacity } from './settings.js';

test('the defaults bring 128 x 256 tiles to the z of the paper', () => {
  expect(latentShape(parseModelSettings())).toEqual([16, 16, 32]);
});

test.each([
  [{ alpha: 1.2 }, /alpha.*\[0, 1\]/],
  [{ pools: [[2, 2]] }, /one pool per block/],
  [{ tile: [100, 256] }, /do not divide the tile's 100 rows/],
  [{ tile: [128, 8] }, /leave z|do not divide/],
  [{ system: 'cnn', filters: [8], pools: [[2, 2]] }, /at least two filters/],
  [{ system: 'cnn-lstm' }, /cnn-lstm learns emotion alone/],
  [{ system: 'progressive' }, /progressive has one source task/],
  [{ progressive: { sourceSteps: 3 } }, /progressive is of a system of that name, and this is aae/],
  [{ system: 'cnn-lstm', cnnLstm: { warp: [1.1, 0.9] }, auxiliary: { gender: false, speaker: false } }, /must not be above the second/],
  [{ kernel: 3 }, /raise kernel/],
  [{ tasks: { emotion: ['calm', 'frustrated', 'calm'] } }, /tasks\.emotion names a class twice/],
  [{ tasks: { emotion: ['calm'] } }, /tasks\.emotion has 1 classes: name at least two/],
  [{ emotionWords: { calm: 'relaxed' } }, /emotionWords maps calm to relaxed, which is not one of the classes angry, happy, neutral, sad/],
  [{ target: 'activation', tasks: { emotion: ['angry', 'happy', 'neutral', 'sad'] } }, /target activation are low, medium, high/],
  [{ tasks: { gender: ['male', 'female'] } }, /tasks\.gender is male, female.* female, male, in this order: leave it out/],
  [{ tile: [128, 24] }, /pool divides what the one before it leaves/],
  [{ learningrate: 1 }, /learningrate/],
  [{ target: 'clusters' }, /target.*clusters-3/],
  [{ levels: { own: [3, 2] } }, /levels\.own.*lower/],
])('settings %j are refused with what to change', (settings, message) => {
  expect(() => parseModelSettings(settings)).toThrow(
    expect.objectContaining({ code: 'SETTINGS_INVALID', message: expect.stringMatching(message) }),
  );
});

test('the target says what the emotion head tells apart', () => {
  const classesOf = (target: ModelSettingsInput['target']) => parseModelSettings({ target }).tasks.emotion;
  expect(parseModelSettings().tasks.emotion).toEqual(['angry', 'happy', 'neutral', 'sad']);
  expect([classesOf('activation'), classesOf('valence')]).toEqual([
    ['low', 'medium', 'high'],
    ['negative', 'neutral', 'positive'],
  ]);
  expect([classesOf('clusters-3'), classesOf('clusters-5')].map((names) => names.length)).toEqual([3, 5]);
});

test('a run may name its own emotions, in its own order', () => {
  const settings = parseModelSettings({ tasks: { emotion: ['frustrated', 'calm'] }, emotionWords: { cross: 'frustrated' } });
  expect(settings.tasks.emotion).toEqual(['frustrated', 'calm']);
  expect(parseModelSettings({ ...settings })).toEqual(settings);
});

test('the speaker head holds whole blocks, one at least', () => {
  expect([0, 1, 256, 257, 2494].map(speakerCapacity)).toEqual([256, 256, 256, 512, 2560]);
});
