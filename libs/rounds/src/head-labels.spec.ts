import { describe, expect, it } from 'vitest';
import { emotionTargets, type Labels } from '#contracts/labels.js';
import { parseModelSettings } from '#paper/settings.js';
import { headLabels, inverseFrequencies, midpointsFor } from './head-labels.js';
import { viewOf, type ViewUtterance } from '#index/training-index.js';

const utterance = (utteranceId: string, labels: Labels, changes: Partial<ViewUtterance> = {}): ViewUtterance => ({
  utteranceId,
  version: 'v',
  objectKey: utteranceId,
  stream: 'labelled',
  labels,
  split: 'train',
  withheld: false,
  shardId: 's',
  shardObjectKey: 's',
  firstRow: 0,
  tileCount: 1,
  ...changes,
});
const sad = { category: 'sad', activation: 1.5, valence: 2.2 } as const;
const classIn = (target: (typeof emotionTargets)[number], labels: Labels, corpus = 'iemocap'): string | undefined => {
  const settings = parseModelSettings({ target, levels: { own: [1, 1.2] } });
  const { classes, classOf } = headLabels(settings, { midpoints: null, speakers: [] }).emotion;
  return classes[classOf({ utteranceId: `${corpus}/a.wav`, labels })];
};

describe('the emotion head', () => {
  it('predicts categories or levels, with the level edges of each corpus', () => {
    expect(classIn('emotion', sad)).toBe('sad');
    expect([classIn('activation', sad), classIn('valence', sad)]).toEqual(['low', 'neutral']);
    expect([classIn('activation', sad, 'MSP-IMPROV'), classIn('valence', sad, 'MSP-IMPROV')]).toEqual(['low', 'negative']);
    expect(classIn('activation', sad, 'own')).toBe('high');
    const carried: Labels = { ...sad, levelEdges: [2.5, 3.5] };
    expect([classIn('valence', carried, 'improv'), classIn('valence', sad, 'improv')]).toEqual(['negative', 'neutral']);
  });

  it('predicts the classes that the run names, and takes words for one of them', () => {
    const settings = parseModelSettings({ tasks: { emotion: ['frustrated', 'calm', 'sad'] }, emotionWords: { cross: 'frustrated' } });
    const { classes, classOf } = headLabels(settings, { midpoints: null, speakers: [] }).emotion;
    const numberOf = (category: string): number => classOf({ utteranceId: 'c/a.wav', labels: { category } });
    expect(classes).toEqual(['frustrated', 'calm', 'sad']);
    expect(['calm', 'frustrated', 'cross', 'sad', 'happy', 'constructor'].map(numberOf)).toEqual([1, 0, 0, 2, -1, -1]);
  });

  it.each(emotionTargets)('has no class in %s for an utterance without labels', (target) => expect(classIn(target, {})).toBeUndefined());

  it('needs only the labels of its target: activation suffices for activation, not for clusters', () => {
    expect(classIn('activation', { activation: 5 })).toBe('high');
    const midpoints = [1, 3, 5].map((each) => ({ activation: each, valence: each }));
    const { classOf } = headLabels(parseModelSettings({ target: 'clusters-3' }), { midpoints, speakers: [] }).emotion;
    expect(classOf({ utteranceId: 'c/a', labels: { activation: 5 } })).toBe(-1);
    expect(classOf({ utteranceId: 'c/a', labels: { activation: 5, valence: 4 } })).toBe(2);
  });

  it('fits clusters to training speakers only, in the order of valence', () => {
    const at = (activation: number, valence: number, changes: Partial<ViewUtterance> = {}) =>
      utterance(`c/${activation}${valence}`, { activation, valence }, changes);
    const trained = [at(1, 1), at(3, 5), at(5, 3)];
    const outlier = [at(5, 5, { split: 'test' }), at(5, 1, { split: 'dev' }), at(1, 5, { withheld: true })];
    const settings = parseModelSettings({ target: 'clusters-3' });
    expect(midpointsFor(viewOf('h', [...trained, ...outlier]), settings)).toEqual([
      { activation: 1, valence: 1 },
      { activation: 5, valence: 3 },
      { activation: 3, valence: 5 },
    ]);
    expect(() => midpointsFor(viewOf('h', [...trained.slice(1), ...outlier]), settings)).toThrow(
      expect.objectContaining({ code: 'SETTINGS_INVALID' }),
    );
    expect(midpointsFor(viewOf('h', trained), parseModelSettings())).toBeNull();
  });
});

it('the speaker head has a class for its own speakers only', () => {
  const { speaker } = headLabels(parseModelSettings(), { midpoints: null, speakers: ['c/a', 'c/b'] });
  expect(['c/b', 'c/x', undefined].map((speakerId) => speaker.classOf({ utteranceId: 'c/1', labels: { speakerId } }))).toEqual([1, -1, -1]);
});

it('tiles of rare classes weigh more, so that all classes have the same total', () => {
  expect([...inverseFrequencies([6, 2, 0])]).toEqual([expect.closeTo(8 / 12, 6), 2, 0]);
  expect([...inverseFrequencies([5, 5])]).toEqual([1, 1]);
});
