/**
 * The first step of `npm start`, `npm test` and `./undertone`: prepares a fresh clone so that `undertone` can run, then runs it.
 * It is plain JavaScript without dependencies for Node 20.11 or later, because it runs before anything is installed.
 *
 *   node scripts/bootstrap.mjs <command> [args]
 *
 * 1. dependencies: `npm ci --ignore-scripts` if package-lock.json changed, then Node 22, which npm verifies by the sha512 of
 *    deploy/embedded/node/packages.json;
 * 2. build: `tsc -p tsconfig.build.json` if a source changed;
 * 3. the command, under that Node 22. For `test` it is `undertone setup`, then vitest. For `test:containers` it is vitest on containers.
 *
 * It prints (to stderr) only the steps that it had to do. Signals and the exit code pass through. The command has its own process
 * group and gets each Ctrl-C once. On Linux it gets SIGTERM if this process is killed.
 */
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const windows = process.platform === 'win32';
const inRoot = (...segments) => join(root, ...segments);
const bundledNode = inRoot('node_modules', 'node', 'bin', windows ? 'node.exe' : 'node');
/** The npm package of Node 22 for each platform, with version and sha512. */
const nodePackages = inRoot('deploy', 'embedded', 'node', 'packages.json');
const installStamp = inRoot('node_modules', '.undertone-installed');
const buildStamp = inRoot('dist', '.undertone-built');
let keptNode;

/** A failure that is printed as one line without a stack. */
class Stop extends Error {}

main(process.argv.slice(2)).catch((error) => {
  console.error(error instanceof Stop ? `✗ ${error.message}` : error);
  process.exit(1);
});

async function main([command, ...args]) {
  if (versionOf(process.version) < versionOf('v20.11.0'))
    throw new Stop(`This needs Node 20.11 or later, and this is ${process.version}: install a newer Node, then start again.`);
  const lockSha256 = sha256(sha256(readFileSync(inRoot('package-lock.json'))) + sha256(readFileSync(nodePackages)));
  if (!isInstalled(lockSha256) || !isBuilt()) {
    await withLock(() => {
      if (!isInstalled(lockSha256)) install(lockSha256);
      if (!isBuilt()) build();
    });
  }
  const cli = inRoot('dist', 'apps', 'cli', 'src', 'main.js');
  if (command === 'test' || command === 'test:slow') {
    await run([cli, 'setup']);
    const config = inRoot(command === 'test' ? 'vitest.config.ts' : 'vitest.slow.config.ts');
    await run([inRoot('node_modules', 'vitest', 'vitest.mjs'), 'run', '--root', root, '--config', config, ...args]);
  } else if (command === 'test:containers') {
    const config = inRoot('vitest.containers.config.ts');
    await run([inRoot('node_modules', 'vitest', 'vitest.mjs'), 'run', '--root', root, '--config', config, ...args]);
  } else {
    await run(['--enable-source-maps', cli, ...(command === undefined ? [] : [command]), ...args]);
  }
}

// --- 1. dependencies ---------------------------------------------------------------------------------------------------------

function isInstalled(lockSha256) {
  return readIfThere(installStamp) === lockSha256 && chosenNode() !== undefined;
}

function install(lockSha256) {
  step('dependencies', 'npm ci, about half a minute', installLocked);
  step('Node 22', 'npm ci', () => {
    const problem = catching(bringNode) ?? catching(() => checkNode(bundledNode));
    if (problem === undefined) return versionLine(bundledNode);
    if (/EINTEGRITY|integrity checksum failed/i.test(problem.message)) {
      throw new Stop(
        'npm fetched a Node 22 whose sha512 differs from deploy/embedded/node/packages.json. It was not run. Check your registry or mirror, then start again.',
      );
    }
    if (!isOwnNodeGood()) {
      throw new Stop(`npm could not fetch Node 22: ${problem.message}. Install Node 22 (22.12 or later) and start again.`);
    }
    return `${process.version} of this machine, because npm could not fetch the package`;
  });
  rmSync(inRoot('.undertone', 'node'), { recursive: true, force: true });
  writeFileSync(installStamp, lockSha256);
}

/**
 * Installs by the lock. npm refuses a lock that was made behind a mirror without other platforms' optional packages. In that case
 * the same versions are installed without that check, and the lock stays unchanged.
 */
function installLocked() {
  const quiet = ['--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
  const problem = catching(() => npm('ci', ...quiet));
  if (problem === undefined) return undefined;
  if (!/in sync/.test(problem.message)) throw problem;
  npm('install', '--no-save', ...quiet);
  return '(package-lock.json is incomplete for this npm: installed by npm install --no-save)';
}

/**
 * Installs Node 22 into the folder of the package `node`. That package's own script would fetch it without our hash, so the script
 * never runs. Instead npm fetches it by a lock file that is written here.
 */
function bringNode() {
  const platform = `${process.platform}-${process.arch}`;
  const packages = JSON.parse(readFileSync(nodePackages, 'utf8'));
  if (!Object.hasOwn(packages, platform)) throw new Stop(`there is no package for ${platform}`);
  const { name, version, integrity } = packages[platform];
  const dependencies = { [name]: version };
  const folder = inRoot('node_modules', '.undertone-node');
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
  const write = (file, content) => writeFileSync(join(folder, file), JSON.stringify(content));
  write('package.json', { name: 'undertone-node', private: true, dependencies });
  write('package-lock.json', {
    name: 'undertone-node',
    lockfileVersion: 3,
    packages: { '': { name: 'undertone-node', dependencies }, [`node_modules/${name}`]: { version, integrity } },
  });
  npm('ci', '--prefix', folder, '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error');
  mkdirSync(dirname(bundledNode), { recursive: true });
  renameSync(join(folder, 'node_modules', name, 'bin', windows ? 'node.exe' : 'node'), bundledNode);
  rmSync(folder, { recursive: true, force: true });
  // Makes node_modules/.bin/node, which `npm ci` leaves out because its target did not exist.
  npm('rebuild', 'node', '--ignore-scripts', '--loglevel=error');
}

/** The Node 22 of `node_modules`, else the running Node if it is version 22. */
function chosenNode() {
  if (existsSync(bundledNode)) return bundledNode;
  return isOwnNodeGood() ? process.execPath : undefined;
}

function isOwnNodeGood() {
  return versionOf(process.version) >= versionOf('v22.12.0') && versionOf(process.version) < versionOf('v23.0.0');
}

function checkNode(path) {
  const result = spawnSync(path, ['--version'], { encoding: 'utf8' });
  if (result.status !== 0) throw new Stop(`${path} does not run (${result.error?.message ?? result.stderr.trim()})`);
}

function versionLine(path) {
  return spawnSync(path, ['--version'], { encoding: 'utf8' }).stdout.trim();
}

function npm(...args) {
  // Under `npm start` this is the npm that runs this script; otherwise it is `npm` on PATH.
  const script = process.env.npm_execpath;
  const node = nodeThatStays();
  if (script?.endsWith('.js')) tool(node, [script, ...args], `npm ${args[0]}`);
  else tool(windows ? 'npm.cmd' : 'npm', args, `npm ${args[0]}`, dirname(node));
}

/**
 * The path of the running Node, at a place that `npm ci` does not delete. `npm` puts node_modules/.bin first on PATH, so the running
 * Node may be the one in node_modules, and is then copied.
 */
function nodeThatStays() {
  keptNode ??= process.execPath.startsWith(inRoot('node_modules') + sep) ? copyOfOwnNode() : process.execPath;
  return keptNode;
}

/** The copy is made again each time, because a killed start may leave a partial one. */
function copyOfOwnNode() {
  const copy = inRoot('.undertone', 'node', windows ? 'node.exe' : 'node');
  mkdirSync(dirname(copy), { recursive: true });
  copyFileSync(process.execPath, copy);
  return copy;
}

// --- 2. build ----------------------------------------------------------------------------------------------------------------

function isBuilt() {
  return readIfThere(buildStamp) === sourcesFingerprint();
}

function build() {
  step('built', 'tsc', () => {
    const fingerprint = sourcesFingerprint(); // taken before the build, so that a change during the build is built next time
    tool(
      chosenNode(),
      [inRoot('node_modules', 'typescript', 'bin', 'tsc'), '-p', inRoot('tsconfig.build.json'), '--pretty', 'false'],
      'tsc',
    );
    writeFileSync(buildStamp, fingerprint);
  });
}

/** Paths, sizes and times of change of all compiled files. A deleted or older file counts as a change too. */
function sourcesFingerprint() {
  const lines = [];
  const visit = (relative) => {
    for (const entry of readdirSync(inRoot(relative), { withFileTypes: true })) {
      const path = `${relative}/${entry.name}`;
      if (entry.isDirectory()) visit(path);
      else if (/\.(ts|json)$/.test(entry.name) && !entry.name.endsWith('.spec.ts')) lines.push(changeOf(path));
    }
  };
  for (const folder of ['apps', 'libs', 'scripts', 'bench']) if (existsSync(inRoot(folder))) visit(folder);
  for (const file of ['package.json', 'package-lock.json', 'tsconfig.json', 'tsconfig.build.json']) lines.push(changeOf(file));
  return sha256(lines.sort().join('\n'));
}

function changeOf(path) {
  const { mtimeMs, size } = statSync(inRoot(path));
  return `${path} ${mtimeMs} ${size}`;
}

// --- 3. the command ----------------------------------------------------------------------------------------------------------

/** Runs the command under Node 22. Resolves if it succeeds; otherwise this process ends with the same code or signal. */
function run(args) {
  return new Promise((resolve, reject) => {
    const node = chosenNode();
    const setpriv = ['/usr/bin/setpriv', '/bin/setpriv'].find((path) => process.platform === 'linux' && existsSync(path));
    const command = setpriv ? [setpriv, '--pdeathsig', 'TERM', '--', node, ...args] : [node, ...args];
    const child = spawn(command[0], command.slice(1), { env: withCompileCache(process.env), stdio: 'inherit', detached: !windows });
    const release = forwardSignals(child);
    child.once('error', reject);
    child.once('exit', (exitCode, signal) => {
      release();
      if (exitCode === 0) resolve();
      else if (signal) process.kill(process.pid, signal);
      else process.exit(exitCode);
    });
  });
}

/** Keeps compiled code for later processes. A stack has six processes and the tests hundreds; it saves a quarter of a start's work. */
function withCompileCache(env) {
  return { ...env, NODE_COMPILE_CACHE: env.NODE_COMPILE_CACHE ?? inRoot('.undertone', 'compile-cache') };
}

/** A terminal and npm may both deliver the same Ctrl-C, so two within a second count as one. A later one is passed on. */
function forwardSignals(child) {
  const lastAt = new Map();
  const forward = (signal) => {
    if (windows) return; // the console signals the whole group
    const now = Date.now();
    if (now - (lastAt.get(signal) ?? 0) < 1_000) return;
    lastAt.set(signal, now);
    child.kill(signal);
  };
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'];
  for (const signal of signals) process.on(signal, forward);
  return () => {
    for (const signal of signals) process.off(signal, forward);
  };
}

// --- small things ------------------------------------------------------------------------------------------------------------

/** Prints a step, runs it, and prints its time. */
function step(name, how, act) {
  const startedMs = Date.now();
  if (process.stderr.isTTY) process.stderr.write(`· ${name} (${how}) …`);
  const note = act();
  if (process.stderr.isTTY) process.stderr.write('\r\u001b[K');
  console.error(`✓ ${name}${note ? ` ${note}` : ''}  ${((Date.now() - startedMs) / 1000).toFixed(1)} s`);
}

/** Runs a tool that must succeed. Its output is printed only if it fails. */
function tool(command, args, label, firstOnPath) {
  const result = spawnSync(command, args, {
    cwd: root,
    env: firstOnPath ? { ...process.env, PATH: `${firstOnPath}${delimiter}${process.env.PATH}` } : process.env,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    maxBuffer: 64 << 20,
    shell: windows,
  });
  if (result.error) throw new Stop(`${label} could not be started: ${result.error.message}`);
  if (result.signal) process.kill(process.pid, result.signal);
  if (result.status === 0) return;
  const output = `${result.stdout}${result.stderr}`.trim();
  if (/ENOSPC|no space left/i.test(output)) throw new Stop(`${label} failed: the disk is full (${root})`);
  throw new Stop(`${label} failed:\n${output.split('\n').slice(0, 25).join('\n')}`);
}

/** Allows one bootstrap at a time, so that `npm start` and `npm test` never install together. The lock of a dead process does not count. */
async function withLock(act) {
  const file = inRoot('.undertone', 'bootstrap.lock');
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  for (;;) {
    try {
      writeFileSync(file, String(process.pid), { flag: 'wx' });
      break;
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
      const holder = Number(readIfThere(file));
      if (holder > 0 && !isAlive(holder)) rmSync(file, { force: true });
      else await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }
  try {
    act();
  } finally {
    rmSync(file, { force: true });
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

function catching(act) {
  try {
    act();
    return undefined;
  } catch (error) {
    return error;
  }
}

function readIfThere(path) {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return undefined;
  }
}

function sha256(content) {
  return createHash('sha256').update(content).digest('hex');
}

/** v22.12.1 -> 22012001 */
function versionOf(text) {
  const [major, minor, patch] = text.slice(1).split('.').map(Number.parseFloat);
  return major * 1_000_000 + minor * 1_000 + patch;
}
