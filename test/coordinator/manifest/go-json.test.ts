import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { indent, marshalIndent } from '../../../coordinator/manifest/go-json.ts';

test('indents without touching numbers, escapes, key order or empty values', () => {
  const text = String.raw`{"b":1.0,"a":[ 12345678901234567890 ,"x{,:\"\u003c"],"2":{},"1":[ ], "n":null,"l":[[1],{"k":[]}]}`;
  assert.is(
    indent(text),
    String.raw`{
	"b": 1.0,
	"a": [
		12345678901234567890,
		"x{,:\"\u003c"
	],
	"2": {},
	"1": [],
	"n": null,
	"l": [
		[
			1
		],
		{
			"k": []
		}
	]
}`,
  );
});

test('escapes what Go escapes', () => {
  assert.is(marshalIndent({ a: '<b> & c', d: [] }), '{\n\t"a": "\\u003cb\\u003e \\u0026 c",\n\t"d": []\n}');
});

test.run();
