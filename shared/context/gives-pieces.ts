/**
 * How the sender of a transfer says that it gives pieces and parts, which its receiver may ask for then: in the query
 * where it is the one who dials, in the header of its answer where it is dialed. Older ones say nothing.
 */
export const givesPieces = { query: 'pieces', header: 'archfarm-pieces', value: '1' } as const;
