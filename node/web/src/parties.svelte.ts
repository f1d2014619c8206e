// What parties are called. The roster knows devices by the names that people gave them; a party's id is what stands in a plan.

import { live } from './live.svelte';

class Parties {
  // The peers are told anew every few seconds. As a text they only count as changed where they are.
  #told = $derived(
    JSON.stringify(
      [...(live.status?.peers ?? []), live.status].flatMap((one) => (one?.party ? [[one.party, one.name]] : [])).sort(),
    ),
  );
  /** Names by party: only where all its devices have one name, and no other party's. */
  #names = $derived.by(() => {
    const pairs = JSON.parse(this.#told) as [string, string][];
    return new Map(pairs.filter(([party, name]) => pairs.every(([other, theirs]) => (other === party) === (theirs === name))));
  });

  name(party: string): string {
    return this.#names.get(party) ?? partyId(party);
  }
}

const parties = new Parties();

/** `driver:li-wei` as it is written where there is no name: li-wei. */
export const partyId = (party: string | null | undefined) => (party ?? '').replace(/^[a-z]+:/, '');

/** Who a party is, in the name by which its device joined where there is one. */
export const partyName = (party: string | null | undefined) => (party ? parties.name(party) : '');
