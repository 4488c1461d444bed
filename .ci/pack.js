// Builds all packages and packs each into a tarball for npm: `npm run pack [FOLDER]`. Prints the paths of the tarballs.
// `npm publish TARBALL` publishes one.
import { execFileSync } from 'node:child_process';
import { globSync, mkdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stage } from './stage.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const target = resolve(process.argv[2] ?? join(root, '.sealdex', 'packed'));
mkdirSync(target, { recursive: true });

/** Output of npm and of the build goes to standard error. */
function pack(folder) {
  const args = ['pack', folder, '--pack-destination', target, '--loglevel=warn'];
  execFileSync('npm', args, { cwd: root, stdio: ['ignore', 2, 2] });
  const { name, version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  console.log(join(target, `${name.replace('@', '').replace('/', '-')}-${version}.tgz`));
}

// First: its prepack builds the others too.
pack(root);
for (const manifest of globSync('packages/*/package.json', { cwd: root }).toSorted()) {
  const folder = dirname(join(root, manifest));
  const staged = join(target, 'staged', basename(folder));
  stage(folder, staged);
  pack(staged);
}
