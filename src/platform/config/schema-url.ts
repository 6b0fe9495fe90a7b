/** Where editors find the JSON Schema of the configuration: `# yaml-language-server: $schema=…` in its first line. */
export const SCHEMA_URL = 'https://raw.githubusercontent.com/postern-mcp/postern/main/docs/configuration.schema.json';
