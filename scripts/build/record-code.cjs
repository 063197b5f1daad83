'use strict';
/** Loaded before a command: writes what V8 made of its script by the end to a `.code` file beside it. */
const { writeFileSync } = require('node:fs');
const v8 = require('node:v8');
const vm = require('node:vm');

// The code is taken only under the flags that it was made under, and a command changes them when it is loaded already.
v8.setFlagsFromString = () => {};

vm.Script = class extends vm.Script {
  constructor(source, options) {
    super(source, options);
    const file = options.filename.replace(/js$/, 'code');
    process.on('exit', () => writeFileSync(file, this.createCachedData()));
  }
};
