#!/usr/bin/env node
'use strict';
/**
 * `archfarm`: its program, with what the build's V8 made of it beside it. Where another version of Node runs, that is
 * refused, and the program is compiled as ever.
 */
const { readFileSync } = require('node:fs');
const { Script } = require('node:vm');

/** Commands that are in a smaller program too. */
const registryCommands = new Set(['inspect', 'manifest', 'platforms', 'push', 'pushml']);

const name = registryCommands.has(process.argv[2]) ? 'archfarm-registry' : 'archfarm-program';
const filename = `${__dirname}/${name}.js`;
// The bundler writes everything but ASCII as escapes, and such a text takes half the memory.
const source = `(function (exports, require, module, __filename, __dirname) {${readFileSync(filename, 'latin1')}\n})`;
const script = new Script(source, { filename, cachedData: cachedCode() });
script.runInThisContext()(exports, require, module, filename, __dirname);

function cachedCode() {
  try {
    return readFileSync(`${__dirname}/${name}.code`);
  } catch {
    return undefined;
  }
}
