'use strict';
/** Loaded before a command: writes what V8 made of its script by the end, to the file that CODE_FILE names. */
const { writeFileSync } = require('node:fs');
const vm = require('node:vm');

vm.Script = class extends vm.Script {
  constructor(source, options) {
    super(source, options);
    process.on('exit', () => writeFileSync(process.env['CODE_FILE'], this.createCachedData()));
  }
};
