// Runs before test and demo, under any Node: installs missing dependencies, and prints an error if Node is too old.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';

const root = new URL('..', import.meta.url);
if (!existsSync(new URL('node_modules/.package-lock.json', root))) {
  console.log('Dependencies are not installed yet: running npm ci.');
  const { status } = spawnSync('npm', ['ci', '--no-audit', '--no-fund'], { cwd: root, stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
}
// npm puts node_modules/.bin first: there the dev dependency `node` has put the Node that the next script gets.
const version = spawnSync('node', ['--version'], { encoding: 'utf8' }).stdout.trim();
if (Number(version.slice(1).split('.')[0]) < 24) {
  console.error(
    `A checkout of sealdex needs Node 24 or later and found ${version}: run npm ci, which brings Node 24, or install it.`,
  );
  process.exit(78);
}
