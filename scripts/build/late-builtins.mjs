/** Node's modules that few commands need, some of them slow to load: loaded when something of them is first used. */
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
const late = ['child_process', 'dns', 'https', 'perf_hooks', 'tls', 'v8', 'worker_threads', 'zlib'];

/** For esbuild. A module that is loaded already costs nothing to load again. */
export const lateBuiltins = {
  name: 'late-builtins',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: new RegExp(`^(node:)?(${late.join('|')})$`) }, ({ path, namespace }) => {
      const id = path.startsWith('node:') ? path : `node:${path}`;
      if (namespace === 'late-builtin') return { path: id, external: true };
      return { path: id, namespace: 'late-builtin' };
    });
    onLoad({ filter: /.*/, namespace: 'late-builtin' }, ({ path: id }) => {
      const names = Object.keys(require(id)).filter((name) => /^\w+$/.test(name) && name !== 'default');
      const getters = names.map((name) => `get ${name}() { return require('${id}').${name}; }`);
      return { contents: `module.exports = { ${getters.join(', ')} };` };
    });
  },
};
