/** The Chromium of this machine, headless. Nothing is downloaded: the browser is the one that is installed. */
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { chromium, type Browser } from 'playwright-core';

const programNames = ['chromium', 'chromium-browser', 'google-chrome'];

export const browserIsSkipped = process.env['UNDERTONE_SKIP_BROWSER'] === '1';

/** @throws Error with what to install where there is no Chromium */
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
    'Chromium is missing: install it (apt-get install chromium), or name one in CHROMIUM_BIN, or set UNDERTONE_SKIP_BROWSER=1 to go without the browser tests.',
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
