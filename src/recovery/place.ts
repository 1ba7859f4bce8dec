/** Where recovery keeps things. All absolute. */
export type Place = {
  /** The home that relative paths of the configuration and old keys refer to. */
  home: string;
  configFile: string;
  /** `backup_locations.local`: `<backups>/<target>/{hourly,daily,weekly,monthly}/` and `<backups>/<target>/`. */
  backups: string;
  /** `<backups>/.gaia`: lock, journals of runs, catalog, trash, clock record, outbox. Made with mode 0700. */
  state: string;
  /** Ed25519 private key (PKCS #8 PEM, 0600), made by the first backup. Beside the configuration unless it says otherwise. */
  signingKey: string;
  /** Its public half (SPKI PEM): what this machine trusts. A bare machine gets it from the recovery kit. */
  publicKey: string;
  /** Identities of age that open encrypted archives (0600), where the owner keeps some here. Not in requests of before there were any. */
  identity?: string;
  /** A file with identities that the owner has brought, for once, to be used instead. Others may be able to read it. */
  brought?: string;
  /** Recipients that archives are encrypted to where the configuration names none, as `age -R` reads them. */
  recipients?: string;
};
