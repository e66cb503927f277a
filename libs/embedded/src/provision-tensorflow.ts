/**
 * Builds native TensorFlow for `@tensorflow/tfjs-node` from package registries alone. The C++ library and headers come from the
 * PyPI wheel `tensorflow-cpu`; the binding's own source is compiled against them with npm's `node-api-headers`. There is no
 * node-gyp and no download script. Without a C++ compiler, the wheel `ziglang` provides one. For `tfjs-node-gpu` the wheels are
 * `tensorflow` and CUDA's libraries.
 *
 * The build stays in the cache, keyed by TensorFlow, binding and Node-API version. `node_modules` only gets two symbolic links,
 * so that a new `npm ci` needs no new build. The layout is that of the binding's own script: `lib/napi-v8/tfjs_binding.node`
 * beside `deps/lib/`.
 *
 * Linux x64 only. Elsewhere, or if a prerequisite is missing, the caller continues with wasm or cpu, which are slower.
 */
import { existsSync, lstatSync, readlinkSync } from 'node:fs';
import { chmod, mkdir, readFile, rename, rm, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { PipelineError } from '#contracts/pipeline-error.js';
import { packageRoot } from '#service/package-root.js';
import { provisionFolder, type PartOptions, type ProvisionedFolder } from './cache-directory.js';
import { downloadWheel, downloadWheels } from './pip-wheel.js';
import { findOnPath, runCommand } from './run-command.js';
import { insideFolder, unzip } from './unzip.js';

const tensorflowVersion = '2.15.1';
const napiVersion = 8; // the newest version that @tensorflow/tfjs-node 4.22 lists
const bindingPath = join('lib', `napi-v${napiVersion}`, 'tfjs_binding.node');
/** The differences between the CPU and GPU variants: packages, wheels, and download size. */
const variants = {
  cpu: { packageName: '@tensorflow/tfjs-node', requirement: 'tensorflow-cpu', suffix: '' },
  gpu: { packageName: '@tensorflow/tfjs-node-gpu', requirement: 'tensorflow-gpu', suffix: '-gpu' },
} as const;
export type TensorflowVariant = keyof typeof variants;

const instead = 'or leave native TensorFlow out';

export interface TensorflowInstall {
  tensorflowVersion: string;
  /** Absent if the package already has a binding of its own, which stays untouched. */
  folder?: ProvisionedFolder;
}

/**
 * Fetches and compiles the binding and links it into `node_modules`. A new build is checked by adding two tensors in a child process.
 * @throws PipelineError `PREREQUISITE_MISSING`, `SETUP_FAILED`, `DISK_FULL`; the caller may continue without native TensorFlow.
 */
export async function provisionTensorflow(
  root: string,
  env: NodeJS.ProcessEnv = process.env,
  options: PartOptions & { variant?: TensorflowVariant } = {},
): Promise<TensorflowInstall> {
  const { packageName, requirement, suffix } = variants[options.variant ?? 'cpu'];
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    throw new PipelineError('PREREQUISITE_MISSING', `native TensorFlow needs linux x64, and this is ${process.platform} ${process.arch}`);
  }
  const packageDir = findPackage(packageName);
  if (hasOwnBinding(packageDir)) return { tensorflowVersion: 'of the package' };
  const { version } = JSON.parse(await readFile(join(packageDir, 'package.json'), 'utf8')) as { version: string };
  const name = `tensorflow-${tensorflowVersion}-tfjs-${version}-napi${napiVersion}-linux-x64${suffix}`;
  const folder = await provisionFolder(
    root,
    name,
    async (temporary) => {
      await fetchLibraries(temporary, requirement, env);
      const compiler = await compileBinding(temporary, packageDir, env);
      await rm(join(temporary, 'include'), { recursive: true });
      await checkBinding(temporary, packageDir);
      return `wheel by sha256, compiled by ${compiler}, two tensors added`;
    },
    options,
  );
  await linkTensorflow(folder.path, packageDir);
  return { tensorflowVersion, folder };
}

/** Links `node_modules/@tensorflow/tfjs-node` to a built folder. The call is idempotent and fast, and replaces each link atomically. */
async function linkTensorflow(built: string, packageDir: string): Promise<void> {
  await pointLink(join(built, 'deps'), join(packageDir, 'deps'));
  await pointLink(join(built, bindingPath), join(packageDir, bindingPath));
}

/** True if the package's own install script ran: the binding is a real file, not our link. */
function hasOwnBinding(packageDir: string): boolean {
  const binding = join(packageDir, bindingPath);
  return existsSync(binding) && !lstatSync(binding).isSymbolicLink();
}

async function pointLink(target: string, link: string): Promise<void> {
  if (isLinkTo(link, target)) return;
  await mkdir(dirname(link), { recursive: true });
  const aside = `${link}.${process.pid}`;
  await rm(aside, { force: true });
  await symlink(target, aside);
  if (existsSync(link) && lstatSync(link).isDirectory()) await rm(link, { recursive: true }); // left by an unfinished install script
  await rename(aside, link);
}

function isLinkTo(link: string, target: string): boolean {
  try {
    return readlinkSync(link) === target;
  } catch {
    return false;
  }
}

/**
 * Unpacks `deps/lib`, with the names that the binding links to, and `include`: about 700 MB of the wheel's 1 GB. CUDA's libraries
 * keep their paths under `deps/nvidia`, where TensorFlow searches for them.
 */
async function fetchLibraries(folder: string, requirement: string, env: NodeJS.ProcessEnv): Promise<void> {
  const platforms = ['manylinux_2_17_x86_64', 'manylinux2014_x86_64'].flatMap((platform) => ['--platform', platform]);
  const pipArguments = ['--python-version', '3.11', '--implementation', 'cp', ...platforms];
  const wheels = await downloadWheels({ requirement, folder, instead, pipArguments, env });
  const lib = join(folder, 'deps', 'lib');
  const include = join(folder, 'include');
  const headers =
    /^tensorflow\/include\/((?:tensorflow\/(?:c|core\/platform|tsl\/c|tsl\/platform)|tsl\/(?:c|platform)|xla\/tsl\/(?:c|platform))\/.*\.h)$/;
  const place = (name: string): string | undefined => {
    if (/^nvidia\/\w+\/lib\/.*\.so/.test(name)) return insideFolder(join(folder, 'deps'), name);
    if (/^tensorflow\/libtensorflow_(cc|framework)\.so\.2$/.test(name)) return join(lib, basename(name));
    const header = headers.exec(name)?.[1];
    return header ? insideFolder(include, header) : undefined;
  };
  for (const wheel of wheels) {
    await unzip(wheel, place);
    await rm(wheel);
  }
  await symlink('libtensorflow_cc.so.2', join(lib, 'libtensorflow.so.2'));
  await symlink('libtensorflow_cc.so.2', join(lib, 'libtensorflow.so'));
  await symlink('libtensorflow_framework.so.2', join(lib, 'libtensorflow_framework.so'));
}

/** @returns the compiler's name. */
async function compileBinding(folder: string, packageDir: string, env: NodeJS.ProcessEnv): Promise<string> {
  const compiler = findCompiler(env) ?? (await fetchZig(folder, env));
  const { include_dir: nodeApi } = createRequire(join(packageRoot, 'package.json'))('node-api-headers') as { include_dir: string };
  const include = join(folder, 'include');
  const target = join(folder, bindingPath);
  await mkdir(dirname(target), { recursive: true });
  const args = ['-O2', '-std=c++17', '-shared', '-fPIC', '-fvisibility=hidden'];
  args.push(`-DNAPI_VERSION=${napiVersion}`, '-DNODE_GYP_MODULE_NAME=tfjs_binding', '-DBUILDING_NODE_EXTENSION');
  args.push(...[nodeApi, include, join(include, 'tensorflow')].flatMap((path) => ['-I', path]));
  args.push(...['tfjs_backend.cc', 'tfjs_binding.cc'].map((file) => join(packageDir, 'binding', file)));
  args.push('-L', join(folder, 'deps', 'lib'), '-ltensorflow', '-ltensorflow_framework', ...compiler.linkerArguments);
  args.push('-Wl,-rpath,$ORIGIN/../../deps/lib', '-o', target);
  const [command = '', ...first] = compiler.command;
  await runCommand(command, [...first, ...args], {
    cwd: folder,
    env: { ...env, ...compiler.env },
    label: `compiling the TensorFlow binding with ${compiler.name}`,
  });
  await rm(join(folder, 'zig'), { recursive: true, force: true });
  return compiler.name;
}

interface Compiler {
  name: string;
  command: string[];
  linkerArguments: string[];
  env: NodeJS.ProcessEnv;
}

function findCompiler(env: NodeJS.ProcessEnv): Compiler | undefined {
  const chosen = env['CXX']?.split(' ').filter((word) => word !== '');
  const command = chosen?.[0] ? chosen : ['g++', 'clang++', 'c++'].filter((name) => findOnPath(name, env)).slice(0, 1);
  const [name] = command;
  // DT_RPATH, not DT_RUNPATH, because the loader must also find the libraries of the library there.
  return name
    ? { name: basename(name), command, linkerArguments: ['-Wl,--disable-new-dtags', '-Wl,--exclude-libs,ALL'], env: {} }
    : undefined;
}

/** Uses the Zig compiler's C++ mode (clang and libc++, glibc 2.17 like the wheel). It is unpacked beside the build and removed afterwards. */
async function fetchZig(folder: string, env: NodeJS.ProcessEnv): Promise<Compiler> {
  const home = join(folder, 'zig');
  await mkdir(home, { recursive: true });
  const wheel = await downloadWheel({ requirement: 'ziglang', folder: home, instead: `or run apt-get install g++, ${instead}`, env });
  await unzip(wheel.path, (name) => (name.startsWith('ziglang/') ? insideFolder(home, name) : undefined));
  await rm(wheel.path);
  const zig = join(home, 'ziglang', 'zig');
  await chmod(zig, 0o755);
  const caches = { ZIG_GLOBAL_CACHE_DIR: join(home, 'cache'), ZIG_LOCAL_CACHE_DIR: join(home, 'cache') };
  return { name: 'zig c++', command: [zig, 'c++', '-target', 'x86_64-linux-gnu.2.17'], linkerArguments: [], env: caches };
}

/** Links the folder under construction during the check. The caller links the final folder. */
async function checkBinding(folder: string, packageDir: string): Promise<void> {
  await linkTensorflow(folder, packageDir);
  const script = `
    const util = require('node:util');
    util.isNullOrUndefined ??= (value) => value == null;
    util.isArray ??= Array.isArray;
    const tf = require(${JSON.stringify(packageDir)});
    if (tf.getBackend() !== 'tensorflow') throw new Error('error: back end ' + tf.getBackend());
    const sum = tf.add(tf.tensor([1, 2]), tf.tensor([3, 4])).dataSync();
    if (sum[0] !== 4 || sum[1] !== 6) throw new Error('error: 1 + 3 = ' + sum[0] + ', 2 + 4 = ' + sum[1]);`;
  try {
    const env = { ...process.env, TF_CPP_MIN_LOG_LEVEL: '2' };
    await runCommand(process.execPath, ['-e', script], {
      cwd: packageRoot,
      env,
      label: 'adding two tensors with native TensorFlow',
      timeoutMs: 120_000,
    });
  } catch (error) {
    await rm(join(packageDir, bindingPath), { force: true }); // otherwise the service would find a broken link
    throw error;
  }
}

function findPackage(name: string): string {
  try {
    return dirname(createRequire(join(packageRoot, 'package.json')).resolve(`${name}/package.json`));
  } catch (cause) {
    throw new PipelineError('PREREQUISITE_MISSING', `${name} is not installed: run npm ci --ignore-scripts`, { cause });
  }
}
