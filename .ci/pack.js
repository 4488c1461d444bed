// Builds all packages and packs each into a tarball for npm: `npm run pack [FOLDER]`. Prints the paths of the tarballs.
// `npm publish TARBALL` publishes one.
import { execFileSync } from 'node:child_process';
import { globSync, mkdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stage } from './stage.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const target = resolve(process.argv[2] ?? join(root, '.sealdex', 'packed'));
mkdirSync(target, { recursive: true });

/** The output of npm in the root folder; what it tells of its progress goes to standard error. */
const npm = (...args) =>
  execFileSync('npm', args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });

/** The build has been made: prepack would make it again. */
function pack(...folder) {
  const answer = npm('pack', ...folder, '--ignore-scripts', '--json', '--pack-destination', target);
  const [{ filename }] = Object.values(JSON.parse(answer));
  console.log(join(target, filename));
}

npm('run', 'build');
for (const manifest of globSync('packages/*/package.json', { cwd: root }).sort()) {
  if (JSON.parse(readFileSync(join(root, manifest), 'utf8')).publishConfig === undefined) continue;
  const folder = join(root, manifest, '..');
  const staged = join(target, 'staged', folder.split('/').at(-1) ?? '');
  stage(folder, staged);
  pack(staged);
}
pack();
