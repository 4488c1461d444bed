// The one place that knows the insides of fauxqs: its app, and the store under it, which it does not export.
import { buildApp } from 'fauxqs';
import { objectFiles } from './s3-files.ts';

type Stores = NonNullable<NonNullable<Parameters<typeof buildApp>[0]>['stores']>;
type App = ReturnType<typeof buildApp>;

/** fauxqs' store of objects. All its methods are synchronous. */
export type ObjectStore = Stores['s3Store'];

/** Its app, not listening yet. It is built from our own stores: a condition and a write must see the same one. */
export async function createFauxqs(dir?: string): Promise<{ app: App; store: ObjectStore }> {
  const [S3Store, SqsStore, SnsStore] = await Promise.all([
    inside<ObjectStore>('s3/s3Store.js', 'S3Store'),
    inside<Stores['sqsStore']>('sqs/sqsStore.js', 'SqsStore'),
    inside<Stores['snsStore']>('sns/snsStore.js', 'SnsStore'),
  ]);
  const store = new S3Store();
  if (dir !== undefined) {
    const files = objectFiles(dir);
    // Before the store knows of the files, or loading would write each of them again.
    files.loadS3(store);
    store.persistence = files;
  }
  const stores: Stores = { s3Store: store, sqsStore: new SqsStore(), snsStore: new SnsStore() };
  return { app: buildApp({ logger: false, stores }), store };
}

/** A class from a file beside fauxqs' entry. The lock file pins the version that has it there. */
async function inside<T>(path: string, name: string): Promise<new () => T> {
  const url = new URL(path, import.meta.resolve('fauxqs'));
  const module = (await import(url.href)) as Record<string, new () => T>;
  const found = module[name];
  if (!found) throw new Error(`This version of fauxqs has no ${name} in ${path}.`);
  return found;
}
