/**
 * Completes package-lock.json after a change behind a mirror that lacks some platforms' optional packages. npm leaves these
 * packages out, and `npm ci` then refuses the lock as out of date. Each added entry has the package, its version and its platform,
 * so that other platforms install it and this one skips it. Run `node scripts/complete-lock.mjs` after each `npm install` that
 * changed the lock.
 */
import { readFileSync, writeFileSync } from 'node:fs';

const platforms = ['android', 'darwin', 'freebsd', 'linux', 'openharmony', 'win32'];
const processors = ['arm64', 'x64', 'ia32', 'arm', 'ppc64', 'riscv64', 's390x'];

const lock = JSON.parse(readFileSync('package-lock.json', 'utf8'));
const before = Object.keys(lock.packages).length;
for (const [path, owner] of Object.entries(lock.packages)) {
  for (const [name, range] of Object.entries(path === '' ? {} : (owner.optionalDependencies ?? {}))) {
    if (lock.packages[`node_modules/${name}`] ?? lock.packages[`${path}/node_modules/${name}`]) continue;
    const os = platforms.find((platform) => name.includes(platform));
    const cpu = processors.find((processor) => name.includes(processor));
    lock.packages[`node_modules/${name}`] = {
      version: range.replace(/^[\^~]/, ''),
      ...(cpu && { cpu: [cpu] }),
      ...(owner.dev && { dev: true }),
      optional: true,
      ...(name.includes('musl') && { libc: ['musl'] }),
      ...(os && { os: [os] }),
    };
  }
}
lock.packages = Object.fromEntries(Object.entries(lock.packages).sort(([a], [b]) => a.localeCompare(b, 'en')));
writeFileSync('package-lock.json', `${JSON.stringify(lock, null, 2)}\n`);
console.log(`${Object.keys(lock.packages).length - before} packages of other platforms added`);
