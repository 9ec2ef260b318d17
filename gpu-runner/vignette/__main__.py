from vignette.cli import main

raise SystemExit(main())
