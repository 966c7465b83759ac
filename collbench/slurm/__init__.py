"""A sweep as Slurm jobs: profiles, scripts, submission, following, gathering; pure."""
