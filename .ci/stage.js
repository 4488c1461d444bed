// Makes of a package of packages/ the folder that npm packs: `node .ci/stage.js packages/local-aws TARGET`, after a build.
// In the checkout a manifest exports sources, so that nothing must be built; `publishConfig.exports` names what was built.
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** What only the checkout needs; `private` keeps npm from publishing the manifest that exports sources. */
const OMITTED = new Set(['private', 'scripts', 'devDependencies']);

/** @param {string} folder of the package @param {string} target is replaced */
export function stage(folder, target) {
  const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  const { exports, ...publishConfig } = manifest.publishConfig;
  const staged = Object.entries({ ...manifest, exports, publishConfig }).filter(([name]) => !OMITTED.has(name));
  rmSync(target, { recursive: true, force: true });
  mkdirSync(target, { recursive: true });
  for (const path of [...manifest.files, 'README.md']) {
    cpSync(join(folder, path), join(target, path), { recursive: true });
  }
  cpSync(join(ROOT, 'LICENSE'), join(target, 'LICENSE'));
  writeFileSync(join(target, 'package.json'), `${JSON.stringify(Object.fromEntries(staged), null, 2)}\n`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [folder = '', target = ''] = process.argv.slice(2);
  stage(folder, target);
}
