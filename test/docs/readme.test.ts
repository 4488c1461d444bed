// README and docs compared with the tables of the code, the command line and package.json.
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Command } from 'commander';
import { describe, expect, test } from 'vitest';
import { buildProgram } from '../../src/cli/cli.ts';
import { CODES, dispositionOf, type Code } from '../../src/runtime/errors.ts';
import { ORIGINS_TO_ALLOW } from '../../src/runtime/names.ts';
import { METRICS } from '../../src/runtime/metrics.ts';
import { SETTINGS } from '../../src/runtime/settings.ts';
import { isUnknown } from '../../src/runtime/unknown-settings.ts';
import { commandLinesOf, faultOf as faultOfLine } from './command-lines.ts';
import { DOCS, fileOf, linksOf, PAGES, ROOT } from './pages.ts';

const README = fileOf('README.md');

/** The rows of the table under a heading. */
function tableUnder(heading: string, path: string): string[] {
  const section =
    fileOf(path)
      .split(/^#+ /m)
      .find((text) => text.startsWith(`${heading}\n`)) ?? '';
  const rows = section.split('\n').filter((line) => line.startsWith('|'));
  return rows.slice(2);
}

const rowOf = (...cells: string[]): string => `| ${cells.join(' | ')} |`;
const code = (text: string): string => `\`${text}\``;

describe('the tables of the pages equal those of the code', () => {
  test('settings: name, type, default, description', () => {
    const defaultOf = (byDefault: string | null | undefined): string =>
      byDefault === undefined ? '**required**' : byDefault === null || byDefault === '' ? '–' : code(byDefault);
    const rows = Object.entries(SETTINGS).map(([name, { type, byDefault, description }]) =>
      rowOf(code(name), type, defaultOf(byDefault), description),
    );
    expect(rows.length).toBeGreaterThan(20);
    expect(tableUnder('Settings', 'docs/settings.md')).toEqual(rows);
  });

  test('codes: disposition, exit code, meaning, remedy', () => {
    const rows = (Object.keys(CODES) as Code[]).map((name) => {
      const { disposition, attempts, exit, description, remedy } = dispositionOf(name);
      const tries = attempts === undefined || attempts === 0 ? '' : `, ${attempts} attempts`;
      return rowOf(
        code(name),
        disposition === 'none' ? '–' : `${disposition}${tries}`,
        String(exit),
        description,
        remedy,
      );
    });
    expect(rows.length).toBeGreaterThan(30);
    expect(tableUnder('Codes', 'docs/codes.md')).toEqual(rows);
  });

  test('metrics: name, type, labels, help', () => {
    const rows = Object.entries(METRICS).map(([name, { type, labels, help }]) =>
      rowOf(code(name), type, labels.length === 0 ? '–' : labels.map(code).join(' '), help),
    );
    expect(rows.length).toBeGreaterThan(5);
    expect(tableUnder('Metrics', 'docs/metrics.md')).toEqual(rows);
  });
});

const program = await buildProgram();

describe('commands', () => {
  /** A path like `tenants put`, for every command with an action. */
  const leavesOf = (command: Command, path: readonly string[] = []): string[] =>
    command.commands.length === 0
      ? [path.join(' ')]
      : command.commands.flatMap((each) => leavesOf(each, [...path, each.name()]));

  interface Use {
    readonly page: string;
    readonly text: string;
  }

  /** Everything after `sealdex` in code: indented or fenced blocks, and between backticks. */
  const usesOf = (page: string): Use[] => {
    const text = fileOf(page);
    const blocks = text.match(/^ {4}.*$|^```[\s\S]*?^```$/gm) ?? [];
    const inline = [...text.matchAll(/(?<!`)`([^`\n]+)`(?!`)/g)].map(([, inside = '']) => inside);
    return [...blocks.flatMap((block) => block.split('\n')), ...inline].flatMap((line) =>
      [...line.matchAll(/(?:^|\s)(?:npx )?sealdex((?: +[^\s#|&;]+)+)/g)].map(([, rest = '']) => ({
        page,
        text: rest.trim(),
      })),
    );
  };

  const faultOf = ({ page, text }: Use): string[] => {
    let command = program;
    const words = text.split(/ +/);
    while (words.length > 0) {
      const next = command.commands.find((each) => each.name() === words[0]);
      if (!next) break;
      command = next;
      words.shift();
    }
    const known = new Set(['--help', '--version', ...command.options.map(({ long }) => long)]);
    const unknown = words.filter((word) => word.startsWith('--') && !known.has(word));
    const isCommand = command !== program || words[0]?.startsWith('--') === true;
    return isCommand && unknown.length === 0 ? [] : [`${page}: sealdex ${text}`];
  };

  test('in README, CHANGELOG and docs exist, with their options', () => {
    const uses = PAGES.flatMap(usesOf);
    expect(uses.length).toBeGreaterThan(8);
    expect(uses.flatMap(faultOf)).toEqual([]);
    expect(faultOf({ page: '-', text: 'tenants make acme' })).toEqual([]);
    expect(faultOf({ page: '-', text: 'indx --tenant a' })).toHaveLength(1);
    expect(faultOf({ page: '-', text: 'index --tenants a' })).toHaveLength(1);
  });

  test('in codes and errors exist', () => {
    const remedies = Object.values(CODES).flatMap(({ remedy }) => [
      ...remedy.matchAll(/sealdex ((?!retries|does)[a-z]+ [^.;]*)/g),
    ]);
    expect(remedies.length).toBeGreaterThan(5);
    expect(remedies.flatMap(([, text = '']) => faultOf({ page: 'codes.ts', text }))).toEqual([]);
  });

  test('in docs/cli.md have all required options', async () => {
    const lines = commandLinesOf('docs/cli.md').filter((line) => line.includes(' --'));
    expect(lines.length).toBeGreaterThan(8);
    const faults = await Promise.all(lines.map((line) => faultOfLine(buildProgram, line)));
    expect(faults.filter((fault) => fault !== undefined)).toEqual([]);
  });

  test('are all named in docs/cli.md', () => {
    const page = fileOf('docs/cli.md');
    const leaves = leavesOf(program);
    expect(leaves.length).toBeGreaterThan(8);
    const missing = leaves.filter((leaf) => !page.includes(`sealdex ${leaf} `));
    expect(missing).toEqual([]);
  });

  test('at the top level are all named in the CHANGELOG', () => {
    const changelog = fileOf('CHANGELOG.md');
    expect(
      program.commands.filter((command) => !changelog.includes(code(command.name()))).map((each) => each.name()),
    ).toEqual([]);
  });
});

describe('the first screen of the README', () => {
  const { scripts } = JSON.parse(fileOf('package.json')) as { scripts: Record<string, string> };

  test.each(['npm ci && npm run demo', 'npm test'])(
    'has the command %s, with its scripts in package.json',
    (command) => {
      const screen = README.split('\n').slice(0, 30).join('\n');
      expect(screen).toMatch(new RegExp(`^ {4}${command}(?: +#.*)?$`, 'm'));
      for (const [, script = ''] of command.matchAll(/npm (?:run )?(demo|test)/g))
        expect(scripts).toHaveProperty(script);
    },
  );

  test('CI runs the same test command', () => {
    expect(fileOf('.ci/run').split('\n')).toContain('npm test');
  });

  test('names the Node that a checkout needs, which npm ci replaces by Node 24, and that of the package', () => {
    expect(README).toContain(
      'needs Debian or Ubuntu with npm and Node 20 or later; `npm ci` installs the Node 24\nthat it runs on.',
    );
    const { devDependencies, engines } = JSON.parse(fileOf('package.json')) as Record<string, Record<string, string>>;
    expect(devDependencies?.['node']).toMatch(/^\^24\./);
    const least = `Node ${engines?.['node']?.replace('>=', '')} or later`;
    expect(README).toContain(`From npm, with ${least},`);
    expect(fileOf('docs/producer.md')).toContain(`The package \`sealdex\` needs ${least}.`);
  });
});

describe('pages', () => {
  test('the README has at most 150 lines, and opens with two sentences', () => {
    expect(README.trimEnd().split('\n').length).toBeLessThanOrEqual(150);
    const [, , opening = ''] = README.split('\n');
    expect(opening.match(/[.](?: |$)/g)).toHaveLength(2);
  });

  test('the README has the sections of a decision, an installation and an operation, in this order', () => {
    const headings = [...README.matchAll(/^## (.+)$/gm)].map(([, heading]) => heading);
    expect(headings).toEqual([
      'Quick start',
      'What it guarantees',
      'How it works',
      'Use it from your API',
      'Run a worker',
      'Command line',
      'When a key stops working',
      'Security model',
      'Operate',
    ]);
  });

  test.each(PAGES)('every file that %s links to exists', (page) => {
    expect(linksOf(page).filter((target) => !existsSync(join(ROOT, target)))).toEqual([]);
  });

  test('the README links to every page in docs, and to the CHANGELOG', () => {
    const pages = DOCS.filter((page) => dirname(page) === 'docs' && page.endsWith('.md'));
    expect(pages.length).toBeGreaterThan(5);
    expect(new Set(linksOf('README.md'))).toEqual(new Set([...pages, 'CHANGELOG.md']));
  });

  test('every file in docs is reachable by links from the README', () => {
    const found = new Set(['README.md']);
    for (const page of found) if (page.endsWith('.md')) for (const target of linksOf(page)) found.add(target);
    expect(DOCS.filter((page) => !found.has(page))).toEqual([]);
  });

  test.each(PAGES)('every setting and every code named in %s exists', (page) => {
    const text = fileOf(page);
    const settings = text.match(/\bSEALDEX_[A-Z0-9_]+\b/g) ?? [];
    expect(settings.filter(isUnknown)).toEqual([]);
    const marked = [...text.matchAll(/`([A-Z]{3,}(?:_[A-Z]+)+)`/g)].map(([, name = '']) => name);
    // The SDK has variables beside those that sealdex reads.
    const others = marked.filter((name) => isUnknown(name) && !name.startsWith('AWS_'));
    const isWord = (name: string): boolean =>
      Object.hasOwn(CODES, name) || (ORIGINS_TO_ALLOW as readonly string[]).includes(name);
    expect(others.filter((name) => !isWord(name))).toEqual([]);
  });
});

describe('files of the repository', () => {
  test.each(['SECURITY.md', 'CONTRIBUTING.md'])('every file that %s links to exists', (page) => {
    expect(linksOf(page).filter((target) => !existsSync(join(ROOT, target)))).toEqual([]);
  });

  test('SECURITY.md gives the address for reports of a vulnerability, in the repository of package.json', () => {
    const { repository } = JSON.parse(fileOf('package.json')) as { repository: { url: string } };
    const site = repository.url.replace(/^git\+/, '').replace(/\.git$/, '');
    expect(fileOf('SECURITY.md')).toContain(`](${site}/security/advisories/new)`);
  });

  test('CONTRIBUTING.md has at most 200 lines', () => {
    expect(fileOf('CONTRIBUTING.md').trimEnd().split('\n').length).toBeLessThanOrEqual(200);
  });
});

describe('words', () => {
  const WORDS = tableUnder('Words', 'docs/glossary.md').flatMap((row) =>
    (row.split('|')[1] ?? '').split(',').map((word) => word.trim()),
  );

  test('every word of the glossary is in use', () => {
    const rest = PAGES.filter((page) => page !== 'docs/glossary.md')
      .map(fileOf)
      .join('\n')
      .toLowerCase();
    expect(WORDS.length).toBeGreaterThan(8);
    expect(WORDS.filter((word) => !new RegExp(`\\b${word.toLowerCase()}s?\\b`).test(rest))).toEqual([]);
  });

  test('pages and help use no other word for the same concept', () => {
    const helpOf = (command: Command): string =>
      [command.helpInformation(), ...command.commands.map(helpOf)].join('\n');
    const others =
      /\b(?:CMKs?|CMEKs?|DEKs?|DLQ|redrives?|snoozes?|master keys?|root keys?|session keys?|staging|tasks?)\b/gi;
    const texts = [...PAGES.map((page) => [page, fileOf(page)]), ['--help', helpOf(program)]];
    expect(
      texts.flatMap(([where, text = '']) => [...text.matchAll(others)].map(([word]) => `${where}: ${word}`)),
    ).toEqual([]);
  });
});

test('the CHANGELOG has the form of Keep a Changelog, newest first', () => {
  const changelog = fileOf('CHANGELOG.md');
  expect(changelog).toMatch(/^# Changelog\n/);
  const releases = [...changelog.matchAll(/^## (.+)$/gm)].map(([, heading = '']) => heading);
  expect(releases[0]).toBe('[Unreleased]');
  for (const release of releases.slice(1)) expect(release).toMatch(/^\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d$/);
  const kinds = [...changelog.matchAll(/^### (.+)$/gm)].map(([, heading]) => heading);
  expect(kinds.length).toBeGreaterThan(0);
  for (const kind of kinds) expect(['Added', 'Changed', 'Deprecated', 'Removed', 'Fixed', 'Security']).toContain(kind);
});
