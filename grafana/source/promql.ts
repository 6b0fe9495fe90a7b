/** Range of a rate: four scrapes at least, and wider where a pixel stands for more time. */
export const RATE = '[$__rate_interval]';
/** The replicas that the reader has chosen. */
export const ON = 'instance=~"$instance"';
