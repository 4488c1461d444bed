// Type declarations of the package, built as for npm, and checked as by a consumer that checks the libraries too.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ROOT } from './pages.ts';

const tsc = (args: readonly string[], cwd: string): { status: number | null; stdout: string } =>
  spawnSync(process.execPath, [join(ROOT, 'node_modules/typescript/bin/tsc'), ...args], { cwd, encoding: 'utf8' });

test('the declarations compile for a consumer without skipLibCheck', () => {
  const folder = mkdtempSync(join(tmpdir(), 'sealdex-declarations-'));
  try {
    tsc(['-p', join(ROOT, 'tsconfig.json'), '--emitDeclarationOnly', '--outDir', join(folder, 'dist')], folder);
    symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
    writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
    writeFileSync(join(folder, 'consumer.ts'), "export * from './dist/index.js';\n");
    const flags =
      '--ignoreConfig --noEmit --strict --skipLibCheck false --target es2022 --types node --module nodenext';
    expect(tsc([...flags.split(' '), 'consumer.ts'], folder)).toMatchObject({ status: 0, stdout: '' });
  } finally {
    rmSync(folder, { recursive: true });
  }
});
