import { createAssets } from '../../../platform/pages/assets.ts';
import { ADMIN } from '../paths.ts';
import { LIVE_SCRIPT } from './live-script.ts';
import { STYLESHEET } from './stylesheet.ts';

/** Everything that the admin pages load, by its path. It says nothing about anybody, so nobody has to sign in for it. */
export const ASSETS = createAssets(`${ADMIN}/assets`, { stylesheet: STYLESHEET, scripts: { 'live.js': LIVE_SCRIPT } });
