/** Starts the installed Chromium of this machine, headless. It downloads nothing. */
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { chromium, type Browser } from 'playwright-core';

const programNames = ['chromium', 'chromium-browser', 'google-chrome'];

export const browserIsSkipped = process.env['UNDERTONE_SKIP_BROWSER'] === '1';

/** @throws Error that says what to install, if there is no Chromium */
export function launchChromium(): Promise<Browser> {
  return chromium.launch({
    executablePath: findChromium(),
    args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-background-networking', '--no-first-run'],
  });
}

function findChromium(): string {
  const onPath = (process.env['PATH'] ?? '').split(delimiter).flatMap((folder) => programNames.map((name) => join(folder, name)));
  const found = [process.env['CHROMIUM_BIN'] ?? '', '/usr/bin/chromium', ...onPath].find((path) => path !== '' && isExecutable(path));
  if (found) return found;
  throw new Error(
    'Chromium is missing: run apt-get install chromium, or set CHROMIUM_BIN to its path, or set UNDERTONE_SKIP_BROWSER=1 to skip the browser tests.',
  );
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
