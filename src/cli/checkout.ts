// What only a checkout can do: the embedded services are not part of the package, nor are what they are made of.

/** A command that was started from the installed package and cannot work there. */
export class NeedsCheckout extends Error {
  constructor() {
    super('this command needs a checkout of sealdex with its dev dependencies: git clone it, then npm ci.');
  }
}

/** What `load` imports, or one sentence when it is not there. @throws NeedsCheckout */
export async function fromCheckout<T>(load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_MODULE_NOT_FOUND') throw new NeedsCheckout();
    throw error;
  }
}
