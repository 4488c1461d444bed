// Preloaded in the bench's second variant: replaces the envelope that the worker imports by the copying one.
import { registerHooks } from 'node:module';

const copying = new URL('./copying-envelope.ts', import.meta.url).href;

registerHooks({
  resolve(specifier, context, next) {
    const isBench = context.parentURL?.startsWith(new URL('.', import.meta.url).href) === true;
    return specifier.endsWith('envelope/message.ts') && !isBench ? next(copying, context) : next(specifier, context);
  },
});
