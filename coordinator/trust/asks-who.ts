/** What whoever shows nothing is told: the dashboard then asks, and has no refusal to tell of. */
export const asksWho = 'the coordinator asks who this is';
