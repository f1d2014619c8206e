import type { Creel } from './creel';
import { HttpCreel } from './http';

/** The replica behind this app. */
export const creel: Creel = new HttpCreel();

export { CreelError, NO_STATUS, newTap, type Creel, type Following, type Tap } from './creel';
export type * from './types';
