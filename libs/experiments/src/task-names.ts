/** The names of tasks and classes in a report. */
import type { Task } from '#contracts/labels.js';

const taskNames: Record<Task, string> = {
  emotion: 'Categorical emotion',
  activation: 'Activation',
  valence: 'Valence',
  'clusters-3': '3 clusters',
  'clusters-5': '5 clusters',
  gender: 'Gender',
  speaker: 'Speaker',
};

export const taskName = (task: Task): string => taskNames[task];
/** The short form, for narrow columns and panels. */
export const taskShort = (task: Task): string => (task === 'emotion' ? 'Emotion' : taskNames[task]);
export const taskInText = (task: Task): string => taskNames[task].toLowerCase();
