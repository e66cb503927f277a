/** Implements `npm run kernel`: compiles libs/audio/kernel/kernel.ts to WebAssembly and writes libs/audio/src/kernel-binary.ts. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const compiler = createRequire(import.meta.url).resolve('assemblyscript/bin/asc.js');
const options = ['-O3', '--noAssert', '--runtime', 'stub', '--enable', 'simd', '--initialMemory', '1'];

/** @param root the folder of package.json @returns the module; the same source gives the same bytes */
export function compileKernel(root: string): Uint8Array {
  const folder = mkdtempSync(join(tmpdir(), 'undertone-kernel-'));
  try {
    const out = join(folder, 'kernel.wasm');
    execFileSync(process.execPath, [compiler, 'libs/audio/kernel/kernel.ts', ...options, '-o', out], { cwd: root, stdio: 'inherit' });
    return readFileSync(out);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

export function kernelSource(wasm: Uint8Array): string {
  const lines =
    Buffer.from(wasm)
      .toString('base64')
      .match(/.{1,120}/g) ?? [];
  return `/** Made by \`npm run kernel\` from libs/audio/kernel/kernel.ts; a test fails when it is stale. */\nexport const kernelBase64 = \`\n${lines.join('\n')}\n\`;\n`;
}

if (process.argv[1]?.endsWith('build-kernel.js')) {
  const root = process.cwd();
  writeFileSync(join(root, 'libs/audio/src/kernel-binary.ts'), kernelSource(compileKernel(root)));
}
