// Dockerfile and docker-compose.yml against package.json, the settings and the tree; no engine is needed.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { loadConfig } from '../../src/runtime/config.ts';
import { SETTINGS } from '../../src/runtime/settings.ts';
import { listOf, makingOf, stagesOf, type Instruction, type Stage } from './dockerfile.ts';

const ROOT = new URL('../../', import.meta.url);
const textOf = (path: string): string => readFileSync(new URL(path, ROOT), 'utf8');

interface Service {
  readonly image?: string;
  readonly build?: { readonly context: string; readonly target: string };
  readonly command?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly healthcheck?: { readonly test: readonly string[] };
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
  readonly deploy?: { readonly replicas: number };
  readonly stop_grace_period?: string;
  readonly volumes?: readonly string[];
  readonly ports?: readonly unknown[];
  readonly network_mode?: string;
}

const compose = parse(textOf('docker-compose.yml')) as {
  readonly services: Readonly<Record<'valkey' | 'aws' | 'worker', Service>>;
  readonly volumes: Readonly<Record<string, unknown>>;
};
const services = Object.entries<Service>(compose.services);
const { valkey, aws, worker } = compose.services;

const stages = stagesOf(textOf('Dockerfile'));
const stageOf = (name: string | undefined): Stage => {
  const stage = stages.find((one) => one.name === name);
  if (!stage) throw new Error(`The Dockerfile has no stage ${name}.`);
  return stage;
};
const last = stages.at(-1) ?? stageOf('the last');
const wordsOf = (stage: Stage, keyword: string): string[] =>
  makingOf(stage, stages)
    .filter((one) => one.keyword === keyword)
    .map(({ words }) => words);

const manifest = JSON.parse(textOf('package.json')) as {
  readonly engines: { readonly node: string };
  readonly devDependencies: Readonly<Record<string, string>>;
};

/** The value of an option of the local services, as their image starts them. */
function argumentOf(option: string): string | undefined {
  const entry = listOf(wordsOf(stageOf('dev'), 'ENTRYPOINT')[0] ?? '');
  expect(entry.slice(0, 2)).toEqual(['node', 'packages/local-aws/bin/local-aws.js']);
  return entry[entry.indexOf(option) + 1];
}

/** Whether a path is the given folder or file, or is below it. */
const isWithin = (path: string, folder: string): boolean => path === folder || path.startsWith(`${folder}/`);

/** Variables other than sealdex's settings that may be set. */
const KNOWN = new Set(['NODE_ENV']);
const isKnown = (name: string): boolean => Object.hasOwn(SETTINGS, name) || KNOWN.has(name);

describe('the Dockerfile', () => {
  test('uses the Node of the dev dependency in every stage, which engines allows', () => {
    const images = new Set(stages.map(({ from }) => from).filter((from) => !stages.some(({ name }) => name === from)));
    expect(images.size).toBe(1);
    const [, version = '', variant = ''] = /^node:([\d.]+)-(.+)$/.exec([...images][0] ?? '') ?? [];
    expect(variant).toMatch(/-slim$/);
    const major = Number(version.split('.')[0]);
    expect(manifest.devDependencies['node']).toMatch(new RegExp(`^\\^${major}\\.`));
    expect(major).toBeGreaterThan(Number(/^>=(\d+)\./.exec(manifest.engines.node)?.[1]));
  });

  const copies = stages.flatMap((stage) => stage.instructions.filter(({ keyword }) => keyword === 'COPY'));
  const sourcesOf = ({ words }: Instruction): string[] => words.split(' ').slice(0, -1);
  const fromContext = copies.filter(({ flags }) => flags['from'] === undefined).flatMap(sourcesOf);

  test('copies only existing paths that .dockerignore includes', () => {
    expect(fromContext.length).toBeGreaterThan(5);
    expect(fromContext.filter((path) => !existsSync(new URL(path, ROOT)))).toEqual([]);
    const [first, ...rules] = textOf('.dockerignore')
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'));
    expect(first).toBe('*');
    const allowed = rules.filter((rule) => rule.startsWith('!')).map((rule) => rule.slice(1));
    expect(allowed.filter((path) => !fromContext.some((copied) => isWithin(copied, path)))).toEqual([]);
    expect(fromContext.filter((path) => !allowed.some((folder) => isWithin(path, folder)))).toEqual([]);
    expect(rules.filter((rule) => !rule.startsWith('!'))).toEqual([
      'packages/*/dist',
      'packages/*/node_modules',
      'packages/*/test',
    ]);
  });

  test('copies the manifest of every package before any installation', () => {
    const manifests = globSync('packages/*/package.json', { cwd: ROOT.pathname }).sort();
    expect(manifests.length).toBeGreaterThan(1);
    const installing = stages.filter((stage) => wordsOf(stage, 'RUN').some((words) => words.includes('npm ci')));
    expect(installing.map(({ name }) => name)).toEqual(expect.arrayContaining(['dev', 'build', 'production']));
    for (const stage of installing) {
      const before = makingOf(stage, stages).slice(
        0,
        makingOf(stage, stages).findIndex(({ words }) => words.includes('npm ci')),
      );
      const copied = before.filter(({ keyword }) => keyword === 'COPY').map(({ words }) => words);
      for (const path of manifests) expect(copied).toContain(`${path} ./${dirname(path)}/`);
    }
  });

  test('copies from another stage only what an earlier one has created', () => {
    const made = [
      ['build', '/app/dist'],
      ['build', '/app/staged/extract'],
      ['production', '/app/node_modules'],
    ];
    const copied = copies.filter(({ flags }) => flags['from'] !== undefined);
    expect(
      copied
        .map((copy) => [copy.flags['from'], sourcesOf(copy)[0]])
        .sort((one, other) => String(one).localeCompare(String(other))),
    ).toEqual(made);
    expect(wordsOf(stageOf('build'), 'RUN').at(-1)).toBe(
      'npm run build && node .ci/stage.js packages/extract staged/extract',
    );
    expect(JSON.parse(textOf('tsconfig.json'))).toMatchObject({ compilerOptions: { outDir: 'dist' } });
    expect(wordsOf(stageOf('build'), 'COPY').join(' ')).toContain('tsconfig.json');
  });

  test('sets only variables of settings', () => {
    const names = stages.flatMap((stage) => wordsOf(stage, 'ENV').map((words) => words.split('=')[0] ?? ''));
    expect(names).toContain('NODE_ENV');
    expect(names.filter((name) => !isKnown(name))).toEqual([]);
  });

  test('declares arguments of settings only', () => {
    const used = [...textOf('Dockerfile').matchAll(/process\.env\.(\w+)/g)].map(([, name = '']) => name);
    expect(used.length).toBeGreaterThan(2);
    expect(used.filter((name) => !isKnown(name))).toEqual([]);
  });

  test('runs no install script, and installs from the lock file', () => {
    const installs = stages.flatMap((stage) => wordsOf(stage, 'RUN')).filter((words) => words.includes('npm ci'));
    expect(installs.length).toBeGreaterThan(1);
    expect(installs.filter((words) => !words.includes('--ignore-scripts'))).toEqual([]);
    expect(textOf('Dockerfile')).not.toContain('npm install');
  });

  test.each([
    ['worker', ['EXPOSE', 'HEALTHCHECK', 'ENTRYPOINT', 'CMD']],
    ['dev', ['EXPOSE', 'HEALTHCHECK', 'ENTRYPOINT']],
  ])('runs the %s target as a user other than root, set after all that needs root', (name, rest) => {
    const { instructions } = stageOf(name);
    const [, ...after] = instructions.slice(instructions.findIndex(({ keyword }) => keyword === 'USER'));
    expect(wordsOf(stageOf(name), 'USER')).toEqual([expect.stringMatching(/^[1-9]\d*:[1-9]\d*$/)]);
    expect(after.map(({ keyword }) => keyword)).toEqual(rest);
  });
});

describe('the final stage', () => {
  test('is the worker', () => {
    expect(last.name).toBe('worker');
    expect(wordsOf(last, 'ENV')).toEqual(['NODE_ENV=production']);
    expect(listOf(wordsOf(last, 'ENTRYPOINT')[0] ?? '')).toEqual(['node', '/app/bin/sealdex.js']);
    expect(listOf(wordsOf(last, 'CMD')[0] ?? '')).toEqual(['worker']);
  });

  test('contains no sources, local services or dev dependencies, but the built readers of files', () => {
    expect(stages.some(({ name }) => name === last.from)).toBe(false);
    const copied = last.instructions.filter(({ keyword }) => keyword === 'COPY').map(({ words }) => words);
    expect(copied).toEqual([
      'package.json LICENSE ./',
      'bin ./bin',
      '/app/node_modules ./node_modules',
      '/app/staged/extract ./packages/extract',
      '/app/dist ./dist',
    ]);
    const installs = wordsOf(stageOf('production'), 'RUN');
    expect(installs).toHaveLength(1);
    expect(installs[0]).toContain('--omit=dev --workspace=@sealdex/extract --include-workspace-root');
  });

  test('has all dependencies of the readers in node_modules, for nothing is installed below their own folder', () => {
    const { packages } = JSON.parse(textOf('package-lock.json')) as { packages: Record<string, object> };
    expect(packages['node_modules/@sealdex/extract']).toMatchObject({ resolved: 'packages/extract', link: true });
    expect(Object.keys(packages).filter((path) => path.startsWith('packages/extract/'))).toEqual([]);
  });

  test('exposes the default port of the worker', () => {
    expect(wordsOf(last, 'EXPOSE')).toEqual([SETTINGS.SEALDEX_PORT.byDefault]);
    expect(wordsOf(last, 'HEALTHCHECK')[0]).toContain(`|| ${SETTINGS.SEALDEX_PORT.byDefault}}/livez`);
  });
});

/** Exit code of a HEALTHCHECK's command, run by this Node. */
async function healthOf(stage: Stage, env: Record<string, string>): Promise<number> {
  const [command, ...args] = listOf(wordsOf(stage, 'HEALTHCHECK')[0] ?? '');
  expect(command).toBe('node');
  const child = spawn(process.execPath, args, { env, stdio: 'ignore', timeout: 600_000 });
  const [code] = (await once(child, 'exit')) as [number];
  return code;
}

/** Runs with a server, by default on 127.0.0.1, that returns the given status for each path, else 404. */
async function withServer<T>(
  statuses: Record<string, number>,
  run: (port: string) => Promise<T>,
  host = '127.0.0.1',
): Promise<T> {
  const server = createServer((request, response) => response.writeHead(statuses[request.url ?? ''] ?? 404).end());
  await once(server.listen(0, host), 'listening');
  try {
    return await run(String((server.address() as AddressInfo).port));
  } finally {
    server.close();
    server.closeAllConnections();
  }
}

describe('a health check', () => {
  test('for the worker passes when /livez does, on the port of the setting', async () => {
    expect(await withServer({ '/livez': 200 }, (port) => healthOf(last, { SEALDEX_PORT: port }))).toBe(0);
  });

  test.each(['127.0.0.2', '0.0.0.0', '::1', '::'])(
    'for the worker connects to the address %s of the setting',
    (host) => {
      const check = (port: string): Promise<number> => healthOf(last, { SEALDEX_PORT: port, SEALDEX_HOST: host });
      return expect(withServer({ '/livez': 200 }, check, host)).resolves.toBe(0);
    },
  );

  test('for the worker fails when /livez does, or without a response', async () => {
    expect(await withServer({ '/livez': 503 }, (port) => healthOf(last, { SEALDEX_PORT: port }))).toBe(1);
    const gone = await withServer({}, (port) => Promise.resolve(port));
    expect(await healthOf(last, { SEALDEX_PORT: gone })).toBe(1);
  });

  test('for the services passes when both respond, regardless of the status, and fails when one does not', async () => {
    const gone = await withServer({}, (port) => Promise.resolve(port));
    await withServer({ '/': 403 }, async (port) => {
      const env = { AWS_ENDPOINT_URL_S3: `http://127.0.0.1:${port}`, AWS_ENDPOINT_URL_KMS: `http://127.0.0.1:${port}` };
      expect(await healthOf(stageOf('dev'), env)).toBe(0);
      const half = { ...env, AWS_ENDPOINT_URL_KMS: `http://127.0.0.1:${gone}` };
      expect(await healthOf(stageOf('dev'), half)).toBe(1);
    });
  });
});

describe('docker-compose.yml', () => {
  test('sets only variables of settings', () => {
    const names = services.flatMap(([, service]) => Object.keys(service.environment ?? {}));
    expect(names.filter((name) => !isKnown(name))).toEqual([]);
  });

  test('gives the workers valid settings', () => {
    expect(loadConfig({}, worker.environment ?? {})).toMatchObject({ s3ForcePathStyle: true, queue: 'main' });
  });

  test('has the local services create the bucket and the key of the workers', () => {
    const { bucket, platformKeyArn } = loadConfig({}, worker.environment ?? {});
    expect(aws.command).toEqual(['--bucket', bucket, '--key', platformKeyArn]);
  });

  test('names hosts of its own services, and ports that they expose', () => {
    const { redisUrl, s3Endpoint, kmsEndpoint } = loadConfig({}, worker.environment ?? {});
    expect(new URL(redisUrl).host).toBe('valkey:6379');
    const ends = [s3Endpoint, kmsEndpoint].map((endpoint) => new URL(endpoint ?? ''));
    expect(ends.map(({ hostname }) => hostname)).toEqual(['aws', 'aws']);
    expect(ends.map(({ port }) => port).join(' ')).toBe(wordsOf(stageOf('dev'), 'EXPOSE')[0]);
    expect(ends.map(({ port }) => port)).toEqual([argumentOf('--s3-port'), argumentOf('--kms-port')]);
    for (const { port } of ends)
      expect(wordsOf(stageOf('dev'), 'HEALTHCHECK')[0]).toContain(`http://127.0.0.1:${port}`);
  });

  test('builds existing stages of the Dockerfile', () => {
    expect(aws.build).toEqual({ context: '.', target: 'dev' });
    expect(worker.build).toEqual({ context: '.', target: 'worker' });
    expect(stages.map(({ name }) => name)).toEqual(expect.arrayContaining(['dev', 'worker']));
  });

  test('keeps the queues: append-only file, no eviction, a volume', () => {
    const options = valkey.command?.join(' ') ?? '';
    expect(valkey.image).toMatch(/^valkey\/valkey:\d/);
    expect(options).toContain('--appendonly yes');
    expect(options).toContain('--maxmemory-policy noeviction');
    expect(valkey.volumes).toEqual(['valkey:/data']);
  });

  test('keeps the data of the local services in their volume', () => {
    const dev = stageOf('dev');
    const dir = argumentOf('--dir');
    expect(argumentOf('--host')).toBe('0.0.0.0');
    expect(aws.volumes).toEqual([`aws:${dir}`]);
    expect(wordsOf(dev, 'VOLUME')).toEqual([dir]);
    expect(Object.keys(compose.volumes)).toEqual(['valkey', 'aws']);
  });

  test('runs two workers, each with more time to stop than it takes', () => {
    expect(worker.deploy?.replicas).toBe(2);
    const [, seconds] = /^(\d+)s$/.exec(worker.stop_grace_period ?? '') ?? [];
    expect(Number(seconds) * 1000).toBeGreaterThan(loadConfig({}, worker.environment ?? {}).stopMs);
  });

  test('starts the workers once the others are healthy, with a health check for each', () => {
    expect(worker.depends_on).toEqual({
      valkey: { condition: 'service_healthy' },
      aws: { condition: 'service_healthy' },
    });
    for (const [name, { healthcheck, build }] of services) {
      const hasCheck = healthcheck !== undefined || wordsOf(stageOf(build?.target), 'HEALTHCHECK').length === 1;
      expect({ name, hasCheck }).toEqual({ name, hasCheck: true });
    }
  });

  test('publishes no port', () => {
    expect(services.filter(([, { ports, network_mode: mode }]) => ports !== undefined || mode !== undefined)).toEqual(
      [],
    );
  });
});
